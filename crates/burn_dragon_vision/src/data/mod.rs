//! Pictures from a seed or from files, and their views.
