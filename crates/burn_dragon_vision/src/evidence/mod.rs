//! Evidence columns: recognition by movement and voting, without gradients.
