pub fn burnpack(_bytes: &[u8]) -> Result<(), String> { Ok(()) }
pub fn model(_bytes: &[u8]) -> Result<(), String> { Ok(()) }
pub fn state(_bytes: &[u8]) -> Result<(), String> { Ok(()) }
pub fn safetensors(_bytes: &[u8]) -> Result<(), String> { Ok(()) }
pub fn config(_bytes: &[u8]) -> Result<(), String> { Ok(()) }
pub fn tokenizer(_bytes: &[u8]) -> Result<(), String> { Ok(()) }
pub fn manifest(_bytes: &[u8]) -> Result<(), String> { Ok(()) }
