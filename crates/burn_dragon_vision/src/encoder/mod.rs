//! Encoder: a picture in, a state of its patches out.
