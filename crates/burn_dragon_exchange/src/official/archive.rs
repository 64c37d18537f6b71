//! Reader of the zip archive that `torch.save` writes: uncompressed entries only.
//!
//! The directory at the end lists the entries, and the header before each entry must agree with it. Nothing is
//! unpacked: an entry is a range of bytes in the file. A compressed entry is refused, so no data can grow while it is
//! read.

use super::foreign::Source;
use burn_dragon_checkpoint::api::CheckpointError;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Limit on the size of the directory in bytes, for about ten thousand entries.
const LONGEST_DIRECTORY: u64 = 4 << 20;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;

/// Byte range of an entry, and its CRC-32.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) length: u64,
    crc: u32,
}

/// Zip archive with its entries. Their names are relative to the folder that contains all of them.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    pub(super) source: Source,
    pub(super) entries: BTreeMap<String, Place>,
}

impl Archive {
    pub(super) fn open(path: &Path, source: Source) -> Result<Self, CheckpointError> {
        let mut start = [0];
        if source.read_at(0, &mut start).is_ok() && start == [0x80] {
            let reason = "it is a bare pickle, as torch.save wrote before 1.6; save it again with a newer one: \
                          torch.save(torch.load(PATH, weights_only=True), PATH)";
            return Err(CheckpointError::corrupt(path, reason));
        }
        let entries = Reading(&source).entries().map_err(|fault| match fault {
            Fault::Io(error) => CheckpointError::io("read", path)(error),
            Fault::Wrong(reason) => CheckpointError::corrupt(path, reason),
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            source,
            entries,
        })
    }

    /// Content of an entry of at most `most` bytes.
    pub(super) fn bytes(&self, name: &str, most: u64) -> Result<Vec<u8>, CheckpointError> {
        let place = self.entry(name)?;
        if place.length > most {
            let reason = format!("its `{name}` has {} bytes, at most {most} are read", place.length);
            return Err(CheckpointError::corrupt(&self.path, reason));
        }
        let mut bytes = Vec::with_capacity(place.length as usize);
        self.each(name, place, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Checks an entry against the CRC-32 in the directory.
    pub(super) fn check(&self, name: &str) -> Result<Place, CheckpointError> {
        let place = self.entry(name)?;
        self.each(name, place, |_| ())?;
        Ok(place)
    }

    fn entry(&self, name: &str) -> Result<Place, CheckpointError> {
        self.entries
            .get(name)
            .copied()
            .ok_or_else(|| CheckpointError::corrupt(&self.path, format!("it lacks the entry `{name}`")))
    }

    fn each(&self, name: &str, place: Place, mut piece: impl FnMut(&[u8])) -> Result<(), CheckpointError> {
        let mut crc = crc32fast::Hasher::new();
        let read = self.source.each(place.at, place.length, |next| {
            crc.update(next);
            piece(next);
        });
        read.map_err(CheckpointError::io("read", &self.path))?;
        let found = crc.finalize();
        if found == place.crc {
            return Ok(());
        }
        let reason = format!(
            "the CRC-32 of its `{name}` is {found:08x}, its directory says {:08x}",
            place.crc
        );
        Err(CheckpointError::corrupt(&self.path, reason))
    }
}

enum Fault {
    Io(io::Error),
    Wrong(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

fn wrong<T>(reason: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Wrong(reason.into()))
}

/// Record at the end of the file: size and place of the directory.
struct Directory {
    entries: u64,
    at: u64,
    length: u64,
}

struct Reading<'a>(&'a Source);

impl Reading<'_> {
    fn entries(&self) -> Result<BTreeMap<String, Place>, Fault> {
        let directory = self.directory()?;
        if directory.length > LONGEST_DIRECTORY || directory.entries > directory.length / 46 {
            return wrong(format!(
                "its directory of {} bytes cannot hold {} entries",
                directory.length, directory.entries
            ));
        }
        let bytes = self.read(directory.at, directory.length)?;
        let mut at = Cursor(&bytes);
        let mut entries = BTreeMap::new();
        let mut folder: Option<String> = None;
        let mut taken = Vec::new();
        for _ in 0..directory.entries {
            let central = Central::read(&mut at)?;
            let (start, place) = self.place(&central, directory.at)?;
            taken.push((start, place.at + place.length));
            let Some((first, rest)) = central.name.split_once('/') else {
                return wrong(format!("its entry `{}` is in no folder", central.name));
            };
            if folder.get_or_insert_with(|| first.to_string()) != first {
                return wrong(format!(
                    "its entry `{}` is in another folder than the first",
                    central.name
                ));
            }
            if entries.insert(rest.to_string(), place).is_some() {
                return wrong(format!("it holds the entry `{}` twice", central.name));
            }
        }
        if !at.0.is_empty() {
            return wrong(format!(
                "its directory has {} bytes after the last entry",
                at.0.len()
            ));
        }
        taken.sort_unstable();
        match taken.windows(2).find(|pair| pair[1].0 < pair[0].1) {
            Some(_) => wrong("two of its entries lie in one place"),
            None => Ok(entries),
        }
    }

    /// Reads the record at the very end, and the zip64 record before it if there is one. Both must agree.
    fn directory(&self) -> Result<Directory, Fault> {
        let Some(end_at) = self.0.length().checked_sub(22) else {
            return wrong(format!("it has {} bytes, too few for a zip", self.0.length()));
        };
        let end = self.read(end_at, 22)?;
        let mut end = Cursor(&end);
        if end.u32()? != END {
            return wrong("it does not end like a zip: there is no end record");
        }
        let [disk, start_disk, here, entries] = [end.u16()?, end.u16()?, end.u16()?, end.u16()?];
        let (length, at, comment) = (end.u32()?, end.u32()?, end.u16()?);
        let split = [(disk, 0), (start_disk, 0), (here, entries), (comment, 0)];
        if split.iter().any(|(given, expected)| given != expected) {
            return wrong("it is a zip in several parts, or with a comment");
        }
        let short = Directory {
            entries: entries.into(),
            at: at.into(),
            length: length.into(),
        };
        let long = self.directory_64(end_at)?;
        let saturated = [
            (short.entries, 0xffff),
            (short.at, 0xffff_ffff),
            (short.length, 0xffff_ffff),
        ];
        let (directory, end_at) = match long {
            None => (short, end_at),
            Some((long, at)) => {
                let pairs = saturated.iter().zip([long.entries, long.at, long.length]);
                let agree = |(&(short, most), long): (&(u64, u64), u64)| short == long || short == most;
                if !pairs.clone().all(agree) {
                    return wrong("the two records at its end disagree");
                }
                (long, at)
            }
        };
        if directory.at.checked_add(directory.length) != Some(end_at) {
            return wrong("its directory is not where its end says");
        }
        Ok(directory)
    }

    /// Reads the zip64 record, and its place: directly before its locator, which lies directly before the end record.
    fn directory_64(&self, end_at: u64) -> Result<Option<(Directory, u64)>, Fault> {
        let Some(locator_at) = end_at.checked_sub(20) else {
            return Ok(None);
        };
        let locator = self.read(locator_at, 20)?;
        let mut locator = Cursor(&locator);
        if locator.u32()? != LOCATOR_64 {
            return Ok(None);
        }
        let (disk, at, disks) = (locator.u32()?, locator.u64()?, locator.u32()?);
        if disk != 0 || disks > 1 || at.checked_add(56) != Some(locator_at) {
            return wrong("its zip64 record is not where its locator says");
        }
        let record = self.read(at, 56)?;
        let mut record = Cursor(&record);
        let (signature, size) = (record.u32()?, record.u64()?);
        let _versions = record.u32()?;
        let (disk, start_disk, here, entries) = (record.u32()?, record.u32()?, record.u64()?, record.u64()?);
        let (length, directory_at) = (record.u64()?, record.u64()?);
        if signature != END_64 || size != 44 || disk != 0 || start_disk != 0 || here != entries {
            return wrong("its zip64 record does not read as one");
        }
        let directory = Directory {
            entries,
            at: directory_at,
            length,
        };
        Ok(Some((directory, at)))
    }

    /// Start of an entry and the place of its bytes, if the header before them agrees with the directory.
    fn place(&self, central: &Central, directory_at: u64) -> Result<(u64, Place), Fault> {
        let (name, start) = (&central.name, central.header_at);
        let outside = || Fault::Wrong(format!("its entry `{name}` lies outside of it"));
        if start.checked_add(30).is_none_or(|end| end > directory_at) {
            return Err(outside());
        }
        let header = self.read(start, 30)?;
        let mut header = Cursor(&header);
        let (signature, _version, flags, method) =
            (header.u32()?, header.u16()?, header.u16()?, header.u16()?);
        let (_time, crc, packed, length) = (header.u32()?, header.u32()?, header.u32()?, header.u32()?);
        let (name_length, extra) = (header.u16()?, header.u16()?);
        if signature != LOCAL
            || flags != central.flags
            || method != 0
            || usize::from(name_length) != name.len()
        {
            return wrong(format!(
                "the header of its entry `{name}` is not what its directory says: the file is damaged"
            ));
        }
        let at = start + 30 + u64::from(name_length) + u64::from(extra);
        let end = at
            .checked_add(central.length)
            .filter(|&end| end <= directory_at)
            .ok_or_else(outside)?;
        if self.read(start + 30, name_length.into())? != name.as_bytes() {
            return wrong(format!("the header of its entry `{name}` has another name"));
        }
        // Zeros if the numbers follow the bytes; all ones if they are in the extra field.
        let later = |given: u32, expected: u64| [0, u64::from(u32::MAX), expected].contains(&given.into());
        if !later(packed, central.length)
            || !later(length, central.length)
            || !(crc == 0 || crc == central.crc)
        {
            return wrong(format!(
                "the header of its entry `{name}` is not what its directory says: the file is damaged"
            ));
        }
        let place = Place {
            at,
            length: end - at,
            crc: central.crc,
        };
        Ok((start, place))
    }

    /// Reads bytes of the file.
    fn read(&self, at: u64, length: u64) -> Result<Vec<u8>, Fault> {
        if at.checked_add(length).is_none_or(|end| end > self.0.length()) {
            return wrong("it is shorter than it says");
        }
        let mut bytes = vec![0; length as usize];
        self.0.read_at(at, &mut bytes)?;
        Ok(bytes)
    }
}

/// Directory record of an entry.
struct Central {
    name: String,
    flags: u16,
    crc: u32,
    length: u64,
    header_at: u64,
}

impl Central {
    fn read(at: &mut Cursor<'_>) -> Result<Self, Fault> {
        if at.u32()? != CENTRAL {
            return wrong("its directory does not read as one");
        }
        let (_versions, flags, method) = (at.u32()?, at.u16()?, at.u16()?);
        let (_time, crc, packed, length) = (at.u32()?, at.u32()?, at.u32()?, at.u32()?);
        let [name, extra, comment, disk, _internal] = [at.u16()?, at.u16()?, at.u16()?, at.u16()?, at.u16()?];
        let (_external, header_at) = (at.u32()?, at.u32()?);
        let name = at.take(name.into())?;
        let name = plain_name(name)?;
        let extra = at.take(extra.into())?;
        at.take(comment.into())?;
        // Numbers that did not fit, in this order. Each exists only if the short one is all ones.
        let mut long = Cursor(extra_64(extra)?);
        let mut number = |short: u32| match short {
            u32::MAX => long.u64(),
            short => Ok(short.into()),
        };
        let (length, packed, header_at) = (number(length)?, number(packed)?, number(header_at)?);
        if method != 0 || packed != length {
            return wrong(format!(
                "its entry `{name}` is compressed; `torch.save` writes entries as they are"
            ));
        }
        if flags & !0x0808 != 0 || disk != 0 {
            return wrong(format!(
                "its entry `{name}` is encrypted, patched or in another part"
            ));
        }
        Ok(Self {
            name,
            flags,
            crc,
            length,
            header_at,
        })
    }
}

/// Name of folders and a file without a way out of them. Nothing is ever written under this name; a file with another
/// one was not made by `torch.save`.
fn plain_name(bytes: &[u8]) -> Result<String, Fault> {
    let name =
        String::from_utf8(bytes.to_vec()).map_err(|_| "the name of an entry is not UTF-8".to_string())?;
    let fine = |part: &str| !part.is_empty() && part != "." && part != "..";
    let strange = name.contains(|letter: char| letter.is_control() || letter == '\\' || letter == ':');
    match strange || !name.split('/').all(fine) {
        true => wrong(format!("the name of its entry {name:?} is not a plain one")),
        false => Ok(name),
    }
}

/// Zip64 field of the extra fields.
fn extra_64(extra: &[u8]) -> Result<&[u8], Fault> {
    let mut at = Cursor(extra);
    while at.0.len() >= 4 {
        let (kind, length) = (at.u16()?, at.u16()?);
        let field = at.take(length.into())?;
        if kind == 1 {
            return Ok(field);
        }
    }
    Ok(&[])
}

/// Cursor over bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return wrong("a record of it is shorter than it says");
        };
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((taken, rest)) = self.0.split_first_chunk() else {
            return wrong("a record of it is shorter than it says");
        };
        self.0 = rest;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
