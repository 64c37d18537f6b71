//! Temporary.
use super::*;
use crate::error::VisionError;
use crate::picture::Picture;
use burn_dragon_core::api::expert::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// t
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// t
    pub crop: Option<f64>,
    /// t
    pub flip: f64,
    /// t
    pub shift: f64,
    /// t
    pub jitter: f64,
}
impl AugmentConfig {
    /// t
    ///
    /// # Errors
    /// none
    pub fn validate(&self) -> Result<(), VisionError> {
        Ok(())
    }
}
/// t
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ViewsConfig {
    /// t
    pub global: usize,
}
impl ViewsConfig {
    /// t
    pub fn count(&self) -> usize {
        self.global
    }
    /// t
    ///
    /// # Errors
    /// none
    pub fn validate(&self) -> Result<(), VisionError> {
        Ok(())
    }
    /// t
    pub fn views(&self, p: &Picture, a: &AugmentConfig, seed: u64) -> Vec<Pixels> {
        (0..self.global)
            .map(|v| {
                augment(
                    p,
                    a,
                    burn_dragon_core::api::expert::derive(seed, "view", v as u64, 0),
                )
            })
            .collect()
    }
}
/// t
#[derive(Clone, Debug)]
pub struct Pixels {
    size: usize,
    channels: usize,
    values: Vec<f32>,
}
impl Pixels {
    /// t
    pub fn of(p: &Picture) -> Self {
        Self {
            size: p.height(),
            channels: p.colours().channels(),
            values: p.pixels().iter().map(|&v| f32::from(v) / 255.0).collect(),
        }
    }
    /// t
    pub fn size(&self) -> usize {
        self.size
    }
    /// t
    pub fn channels(&self) -> usize {
        self.channels
    }
    /// t
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
/// t
pub fn augment(p: &Picture, c: &AugmentConfig, seed: u64) -> Pixels {
    let x = Pixels::of(p);
    let (s, ch) = (x.size, x.channels);
    let mut rng = Rng::new(seed);
    let scale = c
        .crop
        .map_or(1.0, |least| (least + (1.0 - least) * rng.uniform()).sqrt());
    let room = (1.0 - scale) * (s as f64);
    let (mut oy, mut ox) = (rng.uniform() * room, rng.uniform() * room);
    oy += (rng.uniform() * 2.0 - 1.0) * c.shift * s as f64;
    ox += (rng.uniform() * 2.0 - 1.0) * c.shift * s as f64;
    let flip = rng.uniform() < c.flip;
    let gain = 1.0 + c.jitter * (rng.uniform() * 2.0 - 1.0);
    let add = c.jitter * (rng.uniform() - 0.5);
    let gray = c.jitter > 0.0 && rng.uniform() < 0.2;
    let mut values = vec![0f32; s * s * ch];
    for r in 0..s {
        for q in 0..s {
            let q2 = if flip { s - 1 - q } else { q };
            let (y, z) = (
                oy + (r as f64 + 0.5) * scale - 0.5,
                ox + (q2 as f64 + 0.5) * scale - 0.5,
            );
            let (y0, z0) = (y.floor(), z.floor());
            let (fy, fz) = (y - y0, z - z0);
            for k in 0..ch {
                let mut v = 0.0;
                for (dy, wy) in [(0.0, 1.0 - fy), (1.0, fy)] {
                    for (dz, wz) in [(0.0, 1.0 - fz), (1.0, fz)] {
                        let (a, b) = (y0 + dy, z0 + dz);
                        if a >= 0.0 && b >= 0.0 && a < s as f64 && b < s as f64 {
                            v += wy * wz * f64::from(x.values[((a as usize) * s + b as usize) * ch + k]);
                        }
                    }
                }
                values[(r * s + q) * ch + k] = (v * gain + add).clamp(0.0, 1.0) as f32;
            }
            if gray {
                let at = (r * s + q) * ch;
                let m = values[at..at + ch].iter().sum::<f32>() / ch as f32;
                values[at..at + ch].fill(m);
            }
        }
    }
    Pixels {
        size: s,
        channels: ch,
        values,
    }
}
/// t
pub fn half_blocks(_p: &Picture, _c: bool) -> String {
    String::new()
}
/// t
pub fn png(_p: &Picture) -> Vec<u8> {
    Vec::new()
}
/// t
pub fn sheet(p: &[Picture], _c: usize) -> Picture {
    p[0].clone()
}
/// t
///
/// # Errors
/// none
pub fn read_picture(_p: &std::path::Path) -> Result<Picture, VisionError> {
    Err(VisionError::NoHead { head: "t" })
}
impl GlyphsConfig {
    /// t
    ///
    /// # Errors
    /// none
    pub fn first(&self, _s: PictureShape, _n: usize) -> Result<Vec<Example>, VisionError> {
        Err(VisionError::NoHead { head: "t" })
    }
}
