// The front page: its code is compiled and run as a doc test.
#![doc = include_str!("../../README.md")]
