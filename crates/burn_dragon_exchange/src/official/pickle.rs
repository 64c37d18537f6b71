//! Pickle reader that executes nothing.
//!
//! A pickle is a program. This reader knows the instructions that build dictionaries, lists, tuples, texts and numbers,
//! and a list of the names that a state dict needs. `torch.rs` gives these names their meaning: a call becomes the
//! description of a tensor. Every other instruction and every other name is refused, and the error names it.
//!
//! Objects are kept in one list and refer to each other by number. So nothing is copied, nothing recurses, and the work
//! is proportional to the length of the pickle.

use burn_dragon_checkpoint::api::expert::shortened;
use std::collections::HashMap;

/// Limit on the number of open marks. A state dict has four.
const DEEPEST: usize = 64;

/// Small value, cheap to copy. Larger values are objects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Global(Global),
    Object(usize),
}

/// Object that values refer to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    Text(String),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// Persistent identity, with its tuple.
    Persistent(Value),
    /// Tensor, with the tuple of arguments that it is rebuilt from.
    Tensor(Value),
}

/// Known names, and their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// Storage of values of a type, with the name of the type.
    Storage(&'static str),
}

impl Global {
    fn named(module: &str, name: &str) -> Option<Self> {
        const STORAGES: [&str; 10] = [
            "FloatStorage",
            "HalfStorage",
            "BFloat16Storage",
            "DoubleStorage",
            "LongStorage",
            "IntStorage",
            "ShortStorage",
            "CharStorage",
            "ByteStorage",
            "BoolStorage",
        ];
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", name) => STORAGES
                .iter()
                .find(|known| **known == name)
                .map(|known| Self::Storage(known)),
            _ => None,
        }
    }
}

/// Content of a pickle: its objects, and the root value.
#[derive(Debug)]
pub(super) struct Unpickled {
    pub(super) objects: Vec<Object>,
    pub(super) root: Value,
}

impl Unpickled {
    /// Object that a value refers to.
    pub(super) fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match self.object(value) {
            Some(Object::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// Reads a pickle of protocol 2 to 5, to its end.
///
/// # Errors
/// The reason, with the byte offset, if an instruction or a name is not known or not valid.
pub(super) fn read(pickle: &[u8]) -> Result<Unpickled, String> {
    let mut machine = Machine {
        rest: pickle,
        objects: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let root = loop {
        let at = pickle.len() - machine.rest.len();
        match machine
            .step()
            .map_err(|reason| format!("its pickle at byte {at}: {reason}"))?
        {
            None => {}
            Some(root) => break root,
        }
    };
    match machine.rest.len() {
        0 => Ok(Unpickled {
            objects: machine.objects,
            root,
        }),
        more => Err(format!("its pickle has {more} bytes after its end")),
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    objects: Vec<Object>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
}

impl Machine<'_> {
    /// Executes one instruction. Returns the root value at the end.
    fn step(&mut self) -> Result<Option<Value>, String> {
        let [code] = self.array()?;
        match code {
            0x80 => self.protocol()?,
            0x95 => drop(self.array::<8>()?), // a frame: the number of bytes that could be read ahead
            b'.' => return self.stop().map(Some),
            b'(' => self.mark()?,
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.stack.push(Value::Float(value));
            }
            b'X' | 0x8c | 0x8d => self.text(code)?,
            b'}' => self.push(Object::Dict(Vec::new())),
            b']' => self.push(Object::List(Vec::new())),
            b')' => self.push(Object::Tuple(Vec::new())),
            0x85..=0x87 => {
                let values = self.pop_many(usize::from(code - 0x84))?;
                self.push(Object::Tuple(values));
            }
            b't' => {
                let values = self.pop_to_mark()?;
                self.push(Object::Tuple(values));
            }
            b's' => {
                let pair = self.pop_many(2)?;
                self.set_items(&pair)?;
            }
            b'u' => {
                let pairs = self.pop_to_mark()?;
                self.set_items(&pairs)?;
            }
            b'a' => {
                let value = self.pop_many(1)?;
                self.append(&value)?;
            }
            b'e' => {
                let values = self.pop_to_mark()?;
                self.append(&values)?;
            }
            b'q' | b'r' | 0x94 => self.remember(code)?,
            b'h' | b'j' => self.recall(code)?,
            b'c' | 0x93 => self.global(code)?,
            b'Q' => {
                let identity = self.pop()?;
                self.push(Object::Persistent(identity));
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            other => {
                return Err(format!(
                    "the instruction {} is not among those a state dict needs",
                    instruction(other)
                ));
            }
        }
        Ok(None)
    }

    fn protocol(&mut self) -> Result<(), String> {
        let [version] = self.array()?;
        match version {
            2..=5 => Ok(()),
            other => Err(format!("protocol {other} is not read; 2 to 5 are")),
        }
    }

    fn stop(&mut self) -> Result<Value, String> {
        let root = self.pop()?;
        match self.stack.is_empty() && self.marks.is_empty() {
            true => Ok(root),
            false => Err("it ends with unused values on its stack".into()),
        }
    }

    fn mark(&mut self) -> Result<(), String> {
        if self.marks.len() == DEEPEST {
            return Err(format!("it is nested more than {DEEPEST} deep"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn integer(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'K' => self.array::<1>()?[0].into(),
            b'M' => u16::from_le_bytes(self.array()?).into(),
            b'J' => i32::from_le_bytes(self.array()?).into(),
            _ => {
                let [length] = self.array()?;
                let bytes = self.take(length.into())?;
                if bytes.len() > 8 {
                    return Err(format!("a whole number of {length} bytes is beyond any size"));
                }
                let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
                let mut eight = [if negative { 0xff } else { 0 }; 8];
                eight[..bytes.len()].copy_from_slice(bytes);
                i64::from_le_bytes(eight)
            }
        };
        self.stack.push(Value::Int(value));
        Ok(())
    }

    fn text(&mut self, code: u8) -> Result<(), String> {
        let length = match code {
            b'X' => u32::from_le_bytes(self.array()?).into(),
            0x8c => self.array::<1>()?[0].into(),
            _ => u64::from_le_bytes(self.array()?),
        };
        let length = usize::try_from(length).map_err(|_| format!("a text of {length} bytes"))?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a text is not UTF-8".to_string())?;
        let text = text.to_string();
        self.push(Object::Text(text));
        Ok(())
    }

    fn set_items(&mut self, flat: &[Value]) -> Result<(), String> {
        let (pairs, odd) = flat.as_chunks::<2>();
        match self.top()? {
            Object::Dict(items) if odd.is_empty() => {
                items.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            _ => {
                return Err(
                    "items are set in an object that is not a dictionary, or a key has no value".into(),
                );
            }
        }
        Ok(())
    }

    fn append(&mut self, values: &[Value]) -> Result<(), String> {
        match self.top()? {
            Object::List(list) => list.extend_from_slice(values),
            _ => return Err("values are appended to an object that is not a list".into()),
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<(), String> {
        let number = match code {
            b'q' => self.array::<1>()?[0].into(),
            b'r' => u32::from_le_bytes(self.array()?),
            _ => self.memo.len() as u32,
        };
        let value = *self.stack.last().ok_or("nothing is there to be remembered")?;
        self.memo.insert(number, value);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<(), String> {
        let number = match code {
            b'h' => self.array::<1>()?[0].into(),
            _ => u32::from_le_bytes(self.array()?),
        };
        let value = *self
            .memo
            .get(&number)
            .ok_or_else(|| format!("nothing was remembered under {number}"))?;
        self.stack.push(value);
        Ok(())
    }

    fn global(&mut self, code: u8) -> Result<(), String> {
        let (module, name) = match code {
            b'c' => (self.line()?, self.line()?),
            _ => {
                let pair = self.pop_many(2)?;
                let text = |value: Value| match self.object(value) {
                    Some(Object::Text(text)) => Some(text.clone()),
                    _ => None,
                };
                text(pair[0]).zip(text(pair[1])).ok_or("a name is not a text")?
            }
        };
        let global = Global::named(&module, &name).ok_or_else(|| {
            let name = format!("{module}.{name}");
            format!(
                "it names `{}`, which is not among what a state dict needs; nothing is called. Save the weights alone: \
                 torch.save(model.state_dict(), PATH)",
                shortened(&name)
            )
        })?;
        self.stack.push(Value::Global(global));
        Ok(())
    }

    /// Turns a call into the description of its result. Arguments are referenced, not copied: a pickle can call a
    /// hundred thousand times with the same long tuple.
    fn reduce(&mut self) -> Result<(), String> {
        let [function, arguments] = self.pop_many(2)?[..] else {
            return Err("a call without arguments".into());
        };
        let Some(Object::Tuple(values)) = self.object(arguments) else {
            return Err("the arguments of a call are no tuple".into());
        };
        match function {
            Value::Global(Global::OrderedDict) if values.is_empty() => self.push(Object::Dict(Vec::new())),
            Value::Global(Global::RebuildTensor) => self.push(Object::Tensor(arguments)),
            Value::Global(Global::RebuildParameter) => {
                let tensor = values.first().copied();
                let is_tensor = |value: &Value| matches!(self.object(*value), Some(Object::Tensor(_)));
                let tensor = tensor
                    .filter(is_tensor)
                    .ok_or("a parameter is made of an object that is not a tensor")?;
                self.stack.push(tensor);
            }
            _ => return Err("a call of an object that is not a known function".into()),
        }
        Ok(())
    }

    /// Ignores attributes of a dictionary. `state_dict()` sets its own: versions of modules.
    fn build(&mut self) -> Result<(), String> {
        let attributes = self.pop()?;
        let dictionary = |value: Value| matches!(self.object(value), Some(Object::Dict(_)));
        let target = *self.stack.last().ok_or("attributes of nothing")?;
        match dictionary(attributes) && dictionary(target) {
            true => Ok(()),
            false => Err("attributes are given to an object that is not a dictionary".into()),
        }
    }

    fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    fn push(&mut self, object: Object) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    /// Lowest position of the stack above the open mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value, String> {
        if self.stack.len() <= self.floor() {
            return Err("a value is taken where there is none".into());
        }
        self.stack
            .pop()
            .ok_or_else(|| "a value is taken where there is none".into())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let values = self.stack.len() - self.floor();
        if values < count {
            return Err(format!("{count} values are taken where there are {values}"));
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self
            .marks
            .pop()
            .ok_or("values are taken to a mark where there is none")?;
        Ok(self.stack.split_off(mark))
    }

    /// Object on top of the stack.
    fn top(&mut self) -> Result<&mut Object, String> {
        if self.stack.len() <= self.floor() {
            return Err("an object is filled where there is none".into());
        }
        match self.stack.last() {
            Some(Value::Object(index)) => Ok(&mut self.objects[*index]),
            _ => Err("the value to be filled is not an object".into()),
        }
    }

    fn take(&mut self, length: usize) -> Result<&[u8], String> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(format!(
                "{length} bytes are read where there are {}",
                self.rest.len()
            ));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err("it ends too early".into());
        };
        self.rest = rest;
        Ok(*taken)
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self
            .rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or("a name without an end")?;
        let line = std::str::from_utf8(&self.rest[..end]).map_err(|_| "a name is not UTF-8".to_string())?;
        let line = line.to_string();
        self.rest = &self.rest[end + 1..];
        Ok(line)
    }
}

/// Name of an instruction in Python's `pickletools`, for instructions of hostile or very old files.
fn instruction(code: u8) -> String {
    let name = match code {
        b'i' => "INST",
        b'o' => "OBJ",
        0x81 => "NEWOBJ",
        0x92 => "NEWOBJ_EX",
        0x82..=0x84 => "EXT",
        b'P' => "PERSID",
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'I' => "INT",
        b'L' => "LONG",
        b'F' => "FLOAT",
        b'S' => "STRING",
        b'T' => "BINSTRING",
        b'U' => "SHORT_BINSTRING",
        b'V' => "UNICODE",
        b'B' | b'C' | 0x8e => "BINBYTES",
        0x96 => "BYTEARRAY8",
        0x8b => "LONG4",
        0x8f..=0x91 => "SET",
        0x97 | 0x98 => "BUFFER",
        _ => return format!("0x{code:02x}"),
    };
    format!("{name} (0x{code:02x})")
}
