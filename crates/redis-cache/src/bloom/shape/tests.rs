use super::*;

fn shape(capacity: u64, error_rate: f64) -> Shape {
    Shape::new(&BloomOptions::default().capacity(capacity).error_rate(error_rate)).expect("a shape")
}

/// Other bits for the same id make a filter that every other process reads wrongly: what is pinned here never changes.
#[test]
fn places_are_what_they_always_were() {
    // The value of the algorithm's specification.
    assert_eq!(XxHash3_128::oneshot(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
    let shape = shape(1_000_000, 0.01);
    let golden = |id: &str| {
        let place = shape.place(id);
        (place.offset, place.bits().map(|bit| bit - place.offset * 8).collect::<Vec<_>>())
    };
    assert_eq!(golden(""), (468_864, vec![216, 460, 81, 96, 109, 336]));
    assert_eq!(golden("42"), (88_384, vec![489, 177, 284, 137, 205, 6]));
    assert_eq!(golden("名前"), (284_096, vec![14, 48, 97, 79, 100, 363]));
    assert_eq!(golden(&"long".repeat(100)), (630_208, vec![66, 19, 101, 31, 62, 425]));
    assert_eq!((shape.id().as_str(), shape.page_bytes(), shape.hashes), ("999908b997639260", 1_250_112, 6));
    // With more than seven bits, the second half comes from elsewhere.
    let many = self::shape(1_000_000, 0.000_1).place("42");
    let bits: Vec<_> = many.bits().map(|bit| bit % 512).collect();
    assert_eq!((many.offset, bits), (194_368, vec![489, 177, 284, 137, 205, 6, 194, 472, 0, 510, 140]));
    assert_ne!(Shape { seed: 1, ..shape }.place("42"), shape.place("42"));
    assert_ne!(Shape { seed: 1, ..shape }.id(), shape.id());
}

#[test]
fn a_full_filter_misses_nothing_and_errs_no_more_than_stated() {
    for (capacity, stated) in [(1, 0.01), (100, 0.001), (20_000, 0.3), (50_000, 0.1), (50_000, 0.01), (10_000, 0.001)] {
        let shape = shape(capacity, stated);
        let mut page = vec![0_u8; shape.page_bytes()];
        for id in 0..capacity {
            for bit in shape.place(&id.to_string()).bits() {
                page[bit / 8] |= 0x80 >> (bit % 8);
            }
        }
        let asked = |id: String| {
            let place = shape.place(&id);
            place.is_in(&page[place.offset..place.offset + BLOCK_BYTES])
        };
        assert!((0..capacity).all(|id| asked(id.to_string())), "{capacity} at {stated}");
        let others = (1500.0 / stated) as u64;
        let wrong = (0..others).filter(|id| asked(format!("other {id}"))).count();
        let rate = wrong as f64 / others as f64;
        assert!(rate <= 1.2 * stated, "{rate} for {stated}, {capacity} ids, {shape:?}");
        // Nor is it that good because it is that large.
        let per_id = shape.page_bytes() as f64 * 8.0 / capacity as f64;
        let plain = stated.recip().ln() / std::f64::consts::LN_2.powi(2);
        assert!(capacity < 1000 || per_id < 1.5 * plain, "{per_id} bits an id, {plain} in a plain filter");
    }
}

#[test]
fn a_large_filter_is_in_pages_of_equal_size() {
    let shape = shape(300_000_000, 0.01);
    assert!(shape.pages > 1 && shape.page_bytes() <= 64 << 20);
    let mut seen = vec![0_u32; shape.pages as usize];
    for id in 0..10_000 {
        let place = shape.place(&id.to_string());
        assert!(place.offset >= BLOCK_BYTES, "the head is no block");
        assert!(place.bits().all(|bit| bit / 8 < shape.page_bytes()));
        seen[place.page] += 1;
    }
    let fair = 10_000 / seen.len() as u32;
    assert!(seen.iter().all(|count| count.abs_diff(fair) < fair / 4), "{seen:?}");
}

#[test]
fn options_that_can_never_work_are_refused_by_name() {
    let refused = |options: BloomOptions, field: &str| {
        let error = options.check().and_then(|()| Shape::new(&options).map(drop)).expect_err(field);
        assert!(error.to_string().contains(field), "{error}");
    };
    let plain = BloomOptions::default;
    refused(plain().capacity(0), "capacity");
    refused(plain().capacity(u64::MAX), "capacity");
    refused(plain().capacity(40_000_000_000), "capacity");
    for rate in [0.0, -1.0, 0.6, f64::NAN, f64::INFINITY, 1e-9] {
        refused(plain().error_rate(rate), "error_rate");
    }
    refused(plain().ttl(std::time::Duration::ZERO), "ttl");
    refused(plain().mirror(std::time::Duration::ZERO), "mirror");
    assert!(Shape::new(&plain().error_rate(0.000_01)).is_ok() && Shape::new(&plain().error_rate(0.5)).is_ok());
}
