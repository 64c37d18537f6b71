//! Fused products of processors other than x86-64: none yet.

use super::between::Around;
use super::gradients::HeadGradients;
use super::head::Head;
use super::read::Read;
use super::rho::Rho;
use super::scratch::Scratch;
use crate::backend::level::{Sizes, WeightsOn};
use crate::matrix::Precision;
use burn::backend::Flex;
use std::sync::Arc;

/// No weights of all heads.
#[derive(Debug)]
pub(super) enum Panels {}

/// No weights of one head.
#[derive(Debug)]
pub(super) enum HeadPanels {}

impl Panels {
    /// None.
    pub(super) fn of(_: WeightsOn<Flex>, _: Sizes) -> Arc<Self> {
        unreachable!("products are not fused here")
    }

    /// None.
    pub(super) fn head(&self, _: usize) -> &HeadPanels {
        match *self {}
    }
}

/// No head.
#[derive(Clone, Copy)]
pub(super) struct Fused<'a>(&'a HeadPanels);

impl<'a> Fused<'a> {
    /// None.
    pub(super) fn of(head: &'a Head<'a>) -> Option<Self> {
        head.panels.map(Self)
    }

    /// No head, no read.
    pub(super) fn first_half(&self, _: &mut Scratch, _: &mut Read, _: &mut Rho<'_>, _: bool) {
        match *self.0 {}
    }

    /// No head, no contribution.
    pub(super) fn second_half(&self, _: &mut Scratch, _: &Read, _: &mut [f32]) -> [u64; 2] {
        match *self.0 {}
    }

    /// No head, no memory.
    pub(super) fn remember(&self, _: &mut Scratch, _: Option<&[f32]>, _: &mut [f32]) {
        match *self.0 {}
    }

    /// No head, no gradients.
    pub(super) fn back(
        &self,
        _: &mut Scratch,
        _: &Read,
        _: &[f32],
        _: Around<'_, '_>,
        _: &mut [f32],
        _: &mut HeadGradients<'_>,
    ) {
        match *self.0 {}
    }
}

/// Never.
pub(super) fn available(_: Precision) -> bool {
    false
}

/// No buffers.
#[derive(Default)]
pub(super) struct Room;
