//! Bars with whiskers, as SVG.

use super::Span;
use crate::role::Role;

/// One bar.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) span: Span,
    /// What stands behind it.
    pub(super) label: String,
}

const WIDTH: f64 = 820.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 170.0;
const ROW: f64 = 24.0;

/// Bars from zero, and a line at this value.
pub(super) fn bars(bars: &[Bar], line: Option<f64>) -> String {
    let most = bars.iter().map(|bar| bar.span.max).chain(line).fold(0.0, f64::max);
    // What is far ahead of all others would leave nothing to see of them.
    let mut medians: Vec<f64> = bars.iter().map(|bar| bar.span.median).collect();
    medians.sort_by(f64::total_cmp);
    let (highest, second) = (medians.last().copied().unwrap_or(1.0), medians.iter().rev().nth(1).copied());
    let cut = second.filter(|second| highest > second * 6.0).map(|second| second * 3.0);
    let end = cut.unwrap_or(most).max(f64::MIN_POSITIVE);
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * (value.min(end) / end);
    let height = ROW * bars.len() as f64 + 8.0;
    let mut svg = format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img">"#);
    for (at, bar) in bars.iter().enumerate() {
        let (top, middle) = (ROW * at as f64 + 6.0, ROW * at as f64 + ROW / 2.0 + 4.0);
        let class = class(bar.role);
        let name = escaped(&bar.name);
        svg.push_str(&format!(r#"<text class="name" x="{}" y="{:.1}">{name}</text>"#, LEFT - 8.0, middle + 2.0));
        let width = (x(bar.span.median) - LEFT).max(1.0);
        svg.push_str(&format!(
            r#"<rect class="{class}" x="{LEFT}" y="{top}" width="{width:.1}" height="{}" rx="2"/>"#,
            ROW - 8.0
        ));
        if bar.span.median > end {
            // A bar that goes on.
            svg.push_str(&format!(r#"<path class="gap" d="M{:.1} {top}l6 {}"/>"#, x(end) - 30.0, ROW - 8.0));
        }
        let (from, to) = (x(bar.span.min), x(bar.span.max));
        svg.push_str(&format!(
            r#"<path class="whisker" d="M{from:.1} {middle:.1}H{to:.1}m0 -4v8M{from:.1} {:.1}v8"/>"#,
            middle - 4.0
        ));
        let behind = x(bar.span.max.max(bar.span.median)) + 8.0;
        svg.push_str(&format!(
            r#"<text class="value" x="{behind:.1}" y="{:.1}">{}</text>"#,
            middle + 2.0,
            escaped(&bar.label)
        ));
    }
    if let Some(line) = line {
        svg.push_str(&format!(r#"<path class="line" d="M{:.1} 0V{height}"/>"#, x(line)));
    }
    svg.push_str("</svg>");
    svg
}

/// One of the bars of [`leads`].
pub(super) struct Lead {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) times: f64,
}

/// Room for the names of two contenders.
const NAMES: f64 = 430.0;

/// Bars to either side of one, each step of the same width twice as far.
pub(super) fn leads(leads: &[Lead]) -> String {
    let doublings = |lead: &Lead| lead.times.log2().clamp(-6.0, 6.0);
    let below = leads.iter().map(doublings).fold(-1.0, f64::min).floor();
    let above = leads.iter().map(doublings).fold(1.0, f64::max).ceil();
    let x = |doublings: f64| NAMES + (WIDTH - NAMES - 50.0) * (doublings - below) / (above - below);
    let height = ROW * leads.len() as f64 + 26.0;
    let mut svg = format!(r#"<svg viewBox="0 0 {WIDTH} {height}" role="img">"#);
    for step in below as i32..=above as i32 {
        let at = x(f64::from(step));
        let times = if step < 0 { format!("1/{}", 1 << -step) } else { (1 << step).to_string() };
        svg.push_str(&format!(
            r#"<path class="tick" d="M{at:.1} 18V{height}"/><text class="axis" x="{at:.1}" y="12">{times}</text>"#
        ));
    }
    for (row, lead) in leads.iter().enumerate() {
        let (top, name) = (ROW * row as f64 + 24.0, escaped(&lead.name));
        let (from, to) = (x(doublings(lead).min(0.0)), x(doublings(lead).max(0.0)));
        let width = (to - from).max(1.0);
        svg.push_str(&format!(r#"<text class="name" x="{}" y="{:.1}">{name}</text>"#, NAMES - 8.0, top + 12.0));
        let class = class(lead.role);
        svg.push_str(&format!(
            r#"<rect class="{class}" x="{from:.1}" y="{top}" width="{width:.1}" height="{}" rx="2"/>"#,
            ROW - 8.0
        ));
        let times = if lead.times.is_finite() { format!("{:.2}", lead.times) } else { "∞".to_owned() };
        svg.push_str(&format!(r#"<text class="value" x="{:.1}" y="{:.1}">{times}</text>"#, to + 6.0, top + 12.0));
    }
    svg.push_str(&format!(r#"<path class="line" d="M{:.1} 18V{height}"/></svg>"#, x(0.0)));
    svg
}

pub(super) fn class(role: Role) -> &'static str {
    match role {
        Role::Floor => "floor",
        Role::Ours => "ours",
        Role::Peer => "peer",
    }
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Bar, Lead, Role, Span, bars, leads};

    #[test]
    fn leads_go_to_both_sides() {
        let lead = |times| Lead { name: "a".to_owned(), role: Role::Ours, times };
        let svg = leads(&[lead(0.5), lead(50.0), lead(0.0)]);
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(
            svg.contains(">1/64<") && svg.contains(">64<") && !svg.contains("NaN") && !svg.contains("inf"),
            "{svg}"
        );
    }

    #[test]
    fn a_plot_has_a_bar_for_each_and_nothing_that_breaks_a_page() {
        let bar = |name: &str, median| Bar {
            name: name.to_owned(),
            role: Role::Ours,
            span: Span { median, min: median * 0.9, max: median * 1.1 },
            label: "1".to_owned(),
        };
        let svg = bars(&[bar("<a> & b", 1.0), bar("far ahead", 100.0)], Some(1.0));
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("&lt;a&gt; &amp; b") && svg.contains("gap") && !svg.contains("NaN"), "{svg}");
    }
}
