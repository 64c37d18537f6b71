//! stub
#[derive(Clone, Copy, Debug)]
/// stub
pub struct TbpttWindow(usize, usize);
impl TbpttWindow {
    /// stub
    pub fn try_new(a: usize, b: usize) -> Result<Self, crate::StreamError> { if b <= a { Ok(Self(a, b)) } else { Err(crate::StreamError::NoLanes) } }
    /// stub
    pub fn unroll_steps(&self) -> usize { self.0 }
    /// stub
    pub fn backprop_steps(&self) -> usize { self.1 }
    /// stub
    pub fn detach_prefix_steps(&self) -> usize { self.0 - self.1 }
}
