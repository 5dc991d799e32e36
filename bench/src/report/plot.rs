//! Lines over a logarithmic axis, as SVG.

use std::path::Path;

use plotters::prelude::*;

use crate::Error;

const SIZE: (u32, u32) = (720, 380);
const COLOURS: [RGBColor; 5] = [
    RGBColor(38, 70, 166),
    RGBColor(201, 76, 44),
    RGBColor(62, 132, 84),
    RGBColor(128, 82, 150),
    RGBColor(120, 120, 120),
];

/// A line with its points.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// A drawing.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What its file's name ends in, before `.svg`.
    pub file: &'static str,
    /// Above it.
    pub title: &'static str,
    /// Below the horizontal axis, which is logarithmic.
    pub across: &'static str,
    /// Beside the vertical axis, which starts at 0.
    pub up: &'static str,
    /// What is drawn.
    pub lines: Vec<Line>,
}

impl Plot {
    /// The file's name in a report of this name.
    pub fn file(&self, report: &str) -> String {
        format!("{report}-{}.svg", self.file)
    }

    /// Draws it into a file.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn draw(&self, path: &Path) -> Result<(), Error> {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let least = points().map(|(x, _)| x).fold(f64::INFINITY, f64::min);
        let most = points().map(|(x, _)| x).fold(f64::NEG_INFINITY, f64::max);
        let highest = points().map(|(_, y)| y).fold(0.0, f64::max);
        if !(least > 0.0 && most > least && highest > 0.0) {
            return Ok(());
        }
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(Error::other)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d((least * 0.9..most * 1.1).log_scale(), 0.0..highest * 1.15)
            .map_err(Error::other)?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .light_line_style(WHITE)
            .draw()
            .map_err(Error::other)?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            // Whoever could not be measured is not at nothing.
            let points = line.points.iter().copied().filter(|(_, y)| y.is_finite());
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))
                .map_err(Error::other)?
                .label(&line.name)
                .legend(|(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(Error::other)?;
        area.present().map_err(Error::other)
    }
}
