//! Pages, rules and source agree with the program: the text of a page is generated or checked.

mod architecture;
mod blocks;
mod catalog;
mod chart;
mod compatibility;
mod contributing;
mod cost;
mod crd;
mod log;
mod pages;
mod transcript;
