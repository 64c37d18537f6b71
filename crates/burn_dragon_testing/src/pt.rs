//! Files as `torch.save` writes them, and as it never would: a pickle, instruction by instruction, in a zip.

/// Pickle of a state dict, built instruction by instruction.
#[derive(Clone, Default)]
pub struct Pickle(
    /// The instructions so far.
    pub Vec<u8>,
);

impl Pickle {
    /// A pickle of protocol 2 without instructions.
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Adds bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Pushes a text.
    pub fn text(self, text: &str) -> Self {
        let length = (text.len() as u32).to_le_bytes();
        self.raw(b"X").raw(&length).raw(text.as_bytes())
    }

    /// Pushes an integer.
    pub fn int(self, value: i64) -> Self {
        match i32::try_from(value) {
            Ok(value) => self.raw(b"J").raw(&value.to_le_bytes()),
            Err(_) => self.raw(&[0x8a, 8]).raw(&value.to_le_bytes()),
        }
    }

    /// Pushes a name that a loader would import.
    pub fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// Pushes a tuple of integers.
    pub fn ints(self, values: &[i64]) -> Self {
        values
            .iter()
            .fold(self.raw(b"("), |pickle, &value| pickle.int(value))
            .raw(b"t")
    }

    /// `('storage', torch.FloatStorage, '0', 'cpu', 8)`, and the instruction that makes a storage of it.
    pub fn storage(self, kind: &str, key: &str, entries: i64) -> Self {
        let tuple = self
            .raw(b"(")
            .text("storage")
            .global("torch", kind)
            .text(key)
            .text("cpu");
        tuple.int(entries).raw(b"tQ")
    }

    /// Pushes a tensor.
    pub fn tensor(self, view: &View) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"(")
            .storage(view.kind, view.key, view.entries)
            .int(view.offset)
            .ints(&view.sizes)
            .ints(&view.strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    /// A whole pickle: a dictionary of tensors.
    pub fn of(tensors: &[(String, View)]) -> Vec<u8> {
        Self::new().dictionary(tensors).raw(b".").0
    }

    /// Pushes a dictionary of tensors.
    pub fn dictionary(self, tensors: &[(String, View)]) -> Self {
        let items = tensors.iter().fold(self.raw(b"}("), |pickle, (name, view)| {
            pickle.text(name).tensor(view)
        });
        items.raw(b"u")
    }
}

/// Description of a tensor: a view of a storage.
#[derive(Clone)]
pub struct View {
    /// The class of the storage, such as `FloatStorage`.
    pub kind: &'static str,
    /// The storage's name in the archive.
    pub key: &'static str,
    /// Numbers in the storage.
    pub entries: i64,
    /// The number that the view begins with.
    pub offset: i64,
    /// Its shape.
    pub sizes: Vec<i64>,
    /// Numbers of the storage from one entry of an axis to the next.
    pub strides: Vec<i64>,
}

impl View {
    /// A whole storage of f32 as a tensor, rows last.
    pub fn new(key: &'static str, sizes: &[i64]) -> Self {
        let mut strides = vec![1; sizes.len()];
        for at in (1..sizes.len()).rev() {
            strides[at - 1] = strides[at] * sizes[at];
        }
        Self {
            kind: "FloatStorage",
            key,
            entries: sizes.iter().product(),
            offset: 0,
            sizes: sizes.to_vec(),
            strides,
        }
    }
}

/// An entry of a zip, with what its records say of it.
#[derive(Clone)]
pub struct Entry {
    /// Its name in the directory.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its compression, 0 for none.
    pub method: u16,
    /// Its flags; bit 0 says that it is encrypted.
    pub flags: u16,
    /// Its checksum, where it lies.
    pub crc: Option<u32>,
    /// What the directory says of the length, where it lies.
    pub length: Option<u32>,
    /// The name before its bytes, where it is another.
    pub local_name: Option<String>,
    /// Where the directory says that it begins, where that lies.
    pub header_at: Option<u32>,
    /// Its extra field in the directory.
    pub extra: Vec<u8>,
}

impl Entry {
    /// An entry as it should be.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            method: 0,
            flags: 0,
            crc: None,
            length: None,
            local_name: None,
            header_at: None,
            extra: Vec::new(),
        }
    }
}

/// A zip of these entries.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let crc = entry.crc.unwrap_or_else(|| crc(&entry.bytes));
        let length = entry.bytes.len() as u32;
        let told = entry.length.unwrap_or(length);
        let at = entry.header_at.unwrap_or(file.len() as u32);
        let local = entry.local_name.as_ref().unwrap_or(&entry.name);
        let short = |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let long = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        file.extend(b"PK\x03\x04");
        file.extend(short(&[20, entry.flags, entry.method, 0, 0]));
        file.extend(long(&[crc, length, length]));
        file.extend(short(&[local.len() as u16, 0]));
        file.extend(local.as_bytes());
        file.extend(&entry.bytes);
        directory.extend(b"PK\x01\x02");
        directory.extend(short(&[20, 20, entry.flags, entry.method, 0, 0]));
        directory.extend(long(&[crc, told, told]));
        directory.extend(short(&[
            entry.name.len() as u16,
            entry.extra.len() as u16,
            0,
            0,
            0,
        ]));
        directory.extend(long(&[0, at]));
        directory.extend(entry.name.as_bytes());
        directory.extend(&entry.extra);
    }
    let (at, length, count) = (file.len() as u32, directory.len() as u32, entries.len() as u16);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend([length.to_le_bytes(), at.to_le_bytes()].concat());
    file.extend([0, 0]);
    file
}

/// The published polynomial, bit by bit.
pub fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xedb8_8320,
            _ => crc >> 1,
        })
    })
}

/// One level, width 4, one head, eight neurons, four tokens.
pub const CONFIG: &str = r#"{"n_layer":1,"n_embd":4,"n_head":1,"mlp_internal_dim_multiplier":2,"vocab_size":4,"rope_theta":65536}"#;

/// The official names and shapes of [`CONFIG`], each in a storage of its own.
pub fn views() -> Vec<(String, View)> {
    [
        ("embed.weight", "0", &[4, 4][..]),
        ("encoder", "1", &[1, 4, 8]),
        ("encoder_v", "2", &[1, 4, 8]),
        ("decoder", "3", &[8, 4]),
        ("lm_head", "4", &[4, 4]),
    ]
    .map(|(name, key, sizes)| (name.to_string(), View::new(key, sizes)))
    .to_vec()
}

/// The value at `place` of a storage.
pub fn value(key: &str, place: usize) -> f32 {
    (key.parse::<f32>().unwrap() + 1.0) * 0.25 + place as f32 / 64.0
}

/// The storages of these tensors, filled with [`value`].
pub fn storages(tensors: &[(String, View)]) -> Vec<Entry> {
    let bytes = |view: &View| {
        (0..view.entries as usize)
            .flat_map(|place| value(view.key, place).to_le_bytes())
            .collect::<Vec<u8>>()
    };
    tensors
        .iter()
        .map(|(_, view)| Entry::new(format!("weights/data/{}", view.key), bytes(view)))
        .collect::<Vec<_>>()
}

/// The entries of a state dict as PyTorch writes them.
pub fn entries(pickle: Vec<u8>, storages: Vec<Entry>) -> Vec<Entry> {
    let mut entries = vec![
        Entry::new("weights/data.pkl", pickle),
        Entry::new("weights/byteorder", "little"),
    ];
    entries.extend(storages);
    entries.push(Entry::new("weights/version", "3\n"));
    entries
}

/// A sound file.
pub fn sound() -> Vec<u8> {
    zip(&entries(Pickle::of(&views()), storages(&views())))
}
