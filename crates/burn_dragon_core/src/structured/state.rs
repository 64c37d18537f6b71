//! Structured state, as a value.

use super::{BankShape, StepMode, StructuredError};
use burn::tensor::{DType, Device, Tensor};

/// A bank of memories, and the stream of its tokens.
#[derive(Clone, Debug)]
pub struct Bank {
    /// Memories of the places, `[B, H, P, N, D]`.
    pub rho: Tensor<5>,
    /// Stream of the bank's tokens, `[B, 1, P, D]`, if it has tokens.
    pub stream: Option<Tensor<4>>,
}

/// Carried state of `B` lanes: banks of memories, the time of each lane, and the age of its prediction.
///
/// Its size depends on the shapes alone. A clone forks it; data is copied only when one of the two continues.
#[derive(Clone, Debug)]
pub struct StructuredState {
    pub(super) names: Vec<String>,
    pub(super) banks: Vec<Bank>,
    pub(super) times: Vec<u64>,
    pub(super) ages: Vec<u64>,
}

impl StructuredState {
    /// An empty state at time 0 of `lanes` lanes: memories and streams of zeros.
    pub fn new(shapes: &[BankShape], lanes: usize, device: &Device) -> Self {
        let bank = |shape: &BankShape| Bank {
            rho: Tensor::zeros(shape.memory(lanes), device),
            stream: shape.stream(lanes).map(|stream| Tensor::zeros(stream, device)),
        };
        Self {
            names: shapes.iter().map(|shape| shape.name.clone()).collect(),
            banks: shapes.iter().map(bank).collect(),
            times: vec![0; lanes],
            ages: vec![0; lanes],
        }
    }

    /// Number of lanes.
    pub fn lanes(&self) -> usize {
        self.times.len()
    }

    /// Time of each lane: the units of time that its steps have taken.
    pub fn times(&self) -> &[u64] {
        &self.times
    }

    /// Age of each lane's prediction: the units of time since it observed something.
    pub fn ages(&self) -> &[u64] {
        &self.ages
    }

    /// Names of the banks.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A bank.
    ///
    /// # Errors
    /// If there is no bank of this name.
    pub fn bank(&self, name: &str) -> Result<&Bank, StructuredError> {
        Ok(&self.banks[self.index(name)?])
    }

    /// Takes the memory of a bank out, so that it has one owner and can be changed in place. The caller puts the next one in.
    pub(super) fn take_memory(&mut self, name: &str) -> Result<Tensor<5>, StructuredError> {
        let index = self.index(name)?;
        let rho = &mut self.banks[index].rho;
        let nothing = Tensor::zeros([0; 5], (&rho.device(), rho.dtype()));
        Ok(std::mem::replace(rho, nothing))
    }

    /// Puts a memory in, in place of one that was taken out.
    pub(super) fn put_memory(&mut self, name: &str, rho: Tensor<5>) -> Result<(), StructuredError> {
        let index = self.index(name)?;
        self.banks[index].rho = rho;
        Ok(())
    }

    /// Puts a memory in place of that of a bank, `[B, H, P, N, D]`.
    ///
    /// # Errors
    /// If there is no bank of this name, or the shape is another one.
    pub fn set_memory(&mut self, name: &str, rho: Tensor<5>) -> Result<(), StructuredError> {
        let index = self.index(name)?;
        same_shape(name, "memory", &rho.dims(), &self.banks[index].rho.dims())?;
        self.banks[index].rho = rho;
        Ok(())
    }

    /// Changes the memory of a bank, `[B, H, P, N, D]`. Meanwhile it has one owner, so that operations change it in place.
    ///
    /// # Errors
    /// If there is no bank of this name, or the shape becomes another one; then the memory stays what `change` returned.
    pub fn change_memory<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(Tensor<5>) -> (Tensor<5>, T),
    ) -> Result<T, StructuredError> {
        let expected = self.bank(name)?.rho.dims();
        let (rho, result) = change(self.take_memory(name)?);
        let given = rho.dims();
        self.put_memory(name, rho)?;
        same_shape(name, "memory", &given, &expected)?;
        Ok(result)
    }

    /// Adds a bank of the same lanes behind the others; a bank of this name is replaced.
    ///
    /// # Errors
    /// If it has another number of lanes.
    pub fn add_bank(&mut self, name: &str, bank: Bank) -> Result<(), StructuredError> {
        let ([given, ..], expected) = (bank.rho.dims(), self.lanes());
        if given != expected {
            return Err(StructuredError::Lanes { given, expected });
        }
        match self.index(name) {
            Ok(index) => self.banks[index] = bank,
            Err(_) => {
                self.names.push(name.into());
                self.banks.push(bank);
            }
        }
        Ok(())
    }

    /// Puts a stream in place of that of a bank, `[B, 1, P, D]`; memories are kept. An observation is such a stream, with
    /// [`advance`](Self::advance) in mode [`Observe`](StepMode::Observe).
    ///
    /// # Errors
    /// If there is no bank of this name, it has no stream, or the shape is another one.
    pub fn set_stream(&mut self, name: &str, stream: Tensor<4>) -> Result<(), StructuredError> {
        let index = self.index(name)?;
        let expected = self.banks[index].stream.as_ref().map(Tensor::dims);
        same_shape(
            name,
            "stream",
            &stream.dims(),
            expected.as_ref().map_or(&[], |shape| &shape[..]),
        )?;
        self.banks[index].stream = Some(stream);
        Ok(())
    }

    /// Advances time and age, once for a call in this mode, however many inner steps it has.
    pub fn advance(&mut self, mode: StepMode) {
        for (time, age) in self.times.iter_mut().zip(&mut self.ages) {
            *time += mode.time();
            *age = match mode {
                StepMode::Observe => 0,
                StepMode::Refine | StepMode::Predict => *age + mode.time(),
            };
        }
    }

    /// The same state, detached: gradients end here.
    pub fn detach(self) -> Self {
        self.map(Tensor::detach, Tensor::detach)
    }

    /// The same state without autodiff, for inference.
    pub fn inner(self) -> Self {
        self.map(Tensor::inner, Tensor::inner)
    }

    /// The same state with autodiff, for training: a constant until a tracked tensor is written to it.
    pub fn autodiff(self) -> Self {
        self.map(Tensor::autodiff, Tensor::autodiff)
    }

    /// The same state on another device.
    pub fn to_device(self, device: &Device) -> Self {
        self.map(|rho| rho.to_device(device), |stream| stream.to_device(device))
    }

    /// The same state in another float precision.
    pub fn cast(self, dtype: DType) -> Self {
        self.map(|rho| rho.cast(dtype), |stream| stream.cast(dtype))
    }

    /// Bytes of memories and streams. They do not grow with time.
    pub fn bytes(&self) -> u64 {
        let of = |elements: usize, dtype: DType| (elements * dtype.size()) as u64;
        let bank = |bank: &Bank| {
            let stream = bank.stream.as_ref();
            let stream = stream.map_or(0, |stream| of(stream.shape().num_elements(), stream.dtype()));
            of(bank.rho.shape().num_elements(), bank.rho.dtype()) + stream
        };
        self.banks.iter().map(bank).sum()
    }

    /// Checks that the state has these banks and this number of lanes.
    ///
    /// # Errors
    /// What differs, with the expected value.
    pub fn check(&self, shapes: &[BankShape], lanes: usize) -> Result<(), StructuredError> {
        let expected: Vec<String> = shapes.iter().map(|shape| shape.name.clone()).collect();
        if self.names != expected {
            return Err(StructuredError::Banks {
                given: self.names.clone(),
                expected,
            });
        }
        if self.lanes() != lanes {
            return Err(StructuredError::Lanes {
                given: self.lanes(),
                expected: lanes,
            });
        }
        for (shape, bank) in shapes.iter().zip(&self.banks) {
            same_shape(&shape.name, "memory", &bank.rho.dims(), &shape.memory(lanes))?;
            let [given, expected] = [bank.stream.as_ref().map(Tensor::dims), shape.stream(lanes)]
                .map(|shape| shape.map_or(Vec::new(), Vec::from));
            same_shape(&shape.name, "stream", &given, &expected)?;
        }
        Ok(())
    }

    pub(super) fn map(
        mut self,
        mut memory: impl FnMut(Tensor<5>) -> Tensor<5>,
        mut stream: impl FnMut(Tensor<4>) -> Tensor<4>,
    ) -> Self {
        let change = |bank: Bank| Bank {
            rho: memory(bank.rho),
            stream: bank.stream.map(&mut stream),
        };
        self.banks = self.banks.into_iter().map(change).collect();
        self
    }

    fn index(&self, name: &str) -> Result<usize, StructuredError> {
        let index = self.names.iter().position(|bank| bank == name);
        index.ok_or_else(|| StructuredError::NoSuchBank {
            given: name.into(),
            banks: self.names.clone(),
        })
    }
}

/// An error unless two shapes are the same; an empty one is of a stream that is not there.
pub(super) fn same_shape(
    bank: &str,
    part: &'static str,
    given: &[usize],
    expected: &[usize],
) -> Result<(), StructuredError> {
    if given == expected {
        return Ok(());
    }
    Err(StructuredError::Shape {
        bank: bank.into(),
        part,
        given: given.to_vec(),
        expected: expected.to_vec(),
    })
}
