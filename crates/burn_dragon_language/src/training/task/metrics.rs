//! Metrics by level and by distance.

use crate::tales::RecallScore;
use burn_dragon_core::api::Density;
use burn_dragon_train::api::Metrics;

/// Shares of active neurons level by level, if there are several levels: `x_density_at_level_01`.
pub(super) fn by_level(density: &Density) -> Metrics {
    let named = |(of, shares): (&str, &[f64])| -> Vec<(String, f64)> {
        let shares = shares.iter().enumerate().filter(|_| shares.len() > 1);
        shares
            .map(|(level, share)| (format!("{of}_density_at_level_{:02}", level + 1), *share))
            .collect()
    };
    [("x", &density.x[..]), ("y", &density.y[..])]
        .into_iter()
        .flat_map(named)
        .collect()
}

/// Recall and its chance by distance in bytes: `recall_accuracy_at_distance_0064` is that of the group up to 64.
pub(super) fn by_distance(recall: &RecallScore) -> Metrics {
    let groups = recall.by_distance.iter().filter_map(|group| {
        let digits = |c: char| !c.is_ascii_digit();
        let end: u64 = group
            .name
            .rsplit(digits)
            .find(|part| !part.is_empty())?
            .parse()
            .ok()?;
        let key = |of: &str| format!("recall_{of}_at_distance_{end:04}");
        Some([(key("accuracy"), group.accuracy), (key("chance"), group.chance)])
    });
    groups.flatten().collect()
}
