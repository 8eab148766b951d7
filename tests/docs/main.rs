//! The pages, the catalogue of rules and the source agree with the program: what a page says is generated from it or checked.

mod architecture;
mod blocks;
mod catalogue;
mod compatibility;
mod contributing;
mod cost;
mod crd;
mod log;
mod pages;
mod transcript;
