//! The elements of a picture. Text is escaped, numbers are short, colours are classes.

use std::fmt::Write as _;

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A place.
pub(super) type Point = (f64, f64);

/// A picture that is being drawn; what comes later covers what came before.
#[derive(Debug)]
pub(super) struct Canvas {
    text: String,
}

/// The dark colours are for readers who ask for them; each pair is readable on its background.
const STYLE: &str = "\
svg{--back:#fff;--ink:#1f2328;--quiet:#59636e;--frame:#c8cdd3;--grid:#eaedf0;\
--fails:#c4321f;--slow:#7a3fc2;--good:#1a7f37;--hold:#9a6700;--weight:#2f6fb0}\
@media(prefers-color-scheme:dark){svg{--back:#14181d;--ink:#e6edf3;--quiet:#9ba5b0;--frame:#4a525c;\
--grid:#272d34;--fails:#ff7b6b;--slow:#c297ff;--good:#4cc46a;--hold:#e0aa3e;--weight:#6cb0f5}}\
text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:var(--ink)}\
.title{font-size:18px;font-weight:600}.quiet{fill:var(--quiet)}\
path,line,rect,circle{fill:none;stroke:var(--ink);stroke-width:1}\
.back{fill:var(--back);stroke:none}.frame{stroke:var(--frame)}.grid{stroke:var(--grid)}\
.limit{stroke-dasharray:7 4}.line{stroke-width:2;stroke-linejoin:round}.mark{stroke-width:1.5}\
.bold{stroke-width:3}.verdict{stroke-dasharray:2 4}\
.fails{stroke:var(--fails)}.slow{stroke:var(--slow);stroke-dasharray:7 3}\
.good{stroke:var(--good)}.dots{stroke-dasharray:2 3}.hold{stroke:var(--hold)}.weight{stroke:var(--weight)}\
.full{fill:currentColor}.full.good{fill:var(--good)}.full.hold{fill:var(--hold)}\
.area{fill:var(--weight);fill-opacity:.2;stroke:none}.open{fill:var(--back);stroke:var(--quiet)}\
text.fails,text.good{stroke:none}text.fails{fill:var(--fails)}text.good{fill:var(--good)}";

impl Canvas {
    pub(super) fn new(width: f64, height: f64, title: &str) -> Canvas {
        let title = escape(title);
        let mut canvas = Canvas {
            text: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
                 width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
                 <title>{title}</title>\n<style>{STYLE}</style>\n"
            ),
        };
        canvas.rectangle((0.0, 0.0), (width, height), "back");
        canvas
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        self.words(&format!("x=\"{x:.1}\" y=\"{y:.1}\""), anchor, class, text);
    }

    /// Text from bottom to top, its middle at this place.
    pub(super) fn upright(&mut self, x: f64, y: f64, text: &str) {
        let place = format!("transform=\"translate({x:.1} {y:.1}) rotate(-90)\"");
        self.words(&place, Anchor::Middle, "quiet", text);
    }

    /// Text that ends with an ellipsis where it would be wider than `room`.
    pub(super) fn cut_text(&mut self, x: f64, y: f64, class: &str, text: &str, room: f64) {
        let scale = if class == "title" { 1.45 } else { 1.0 };
        let mut shown = text.to_string();
        while width(&shown) * scale > room && shown.chars().count() > 2 {
            shown.pop();
            shown.pop();
            shown.push('…');
        }
        self.text(x, y, Anchor::Start, class, &shown);
    }

    fn words(&mut self, place: &str, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (class, text) = (classes(class), escape(text));
        self.element(format_args!(
            "<text {place} text-anchor=\"{anchor}\"{class}>{text}</text>"
        ));
    }

    pub(super) fn line(&mut self, (x1, y1): Point, (x2, y2): Point, class: &str) {
        let class = classes(class);
        self.element(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"{class}/>"
        ));
    }

    pub(super) fn rectangle(&mut self, (left, top): Point, (right, bottom): Point, class: &str) {
        let (width, height, class) = (right - left, bottom - top, classes(class));
        self.element(format_args!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"{class}/>"
        ));
    }

    /// A line through these points.
    pub(super) fn path(&mut self, points: &[Point], class: &str) {
        let mut way = String::new();
        for (x, y) in points {
            way.push(if way.is_empty() { 'M' } else { 'L' });
            way.push_str(&format!("{x:.1} {y:.1}"));
        }
        if !way.is_empty() {
            self.shape(&way, class, "");
        }
    }

    /// A shape by its path; what it stands for is shown where somebody points at it.
    pub(super) fn shape(&mut self, way: &str, class: &str, about: &str) {
        let (class, about) = (classes(class), escape(about));
        match about.is_empty() {
            true => self.element(format_args!("<path d=\"{way}\"{class}/>")),
            false => self.element(format_args!(
                "<path d=\"{way}\"{class}><title>{about}</title></path>"
            )),
        }
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string has no errors.
        let _ = writeln!(self.text, "{element}");
    }
}

/// About how wide a text is, rather too much than too little: nobody knows the reader's font.
pub(super) fn width(text: &str) -> f64 {
    const WIDEST_ON_AVERAGE: f64 = 7.6;
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    f64::from(characters) * WIDEST_ON_AVERAGE
}

fn classes(class: &str) -> String {
    match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    }
}

/// Text as XML has it; what no XML may have becomes a question mark.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
