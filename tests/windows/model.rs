use redis_ratelimit::Algorithm;

/// What a limiter must say, from a plain list of what was admitted and without a formula for any wait: those are searched for.
#[derive(Clone, Debug)]
pub(super) struct Model {
    algorithm: Algorithm,
    period: i128,
    /// What was admitted: when, and how many units.
    events: Vec<(i128, i128)>,
    /// Where a window ends (fixed), the newest was written (sliding), a period began (refill), or a bucket is empty (GCRA, in parts of a
    /// microsecond).
    mark: i128,
    /// Units missing from a bucket that refills by periods.
    missing: i128,
}

/// Limit and burst, which may change from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) limit: u64,
    pub(super) burst: u64,
}

impl Terms {
    fn limit(self) -> i128 {
        self.limit.into()
    }

    fn burst(self) -> i128 {
        self.burst.into()
    }
}

impl Model {
    pub(super) fn new(algorithm: Algorithm, period: u64) -> Self {
        Self { algorithm, period: period.into(), events: Vec::new(), mark: 0, missing: 0 }
    }

    /// How many units could be taken at a time that is not before the last one.
    pub(super) fn room(&self, terms: Terms, at: i128) -> u64 {
        let (limit, window) = (terms.limit(), at.div_euclid(self.period));
        let sum = |counts: &dyn Fn(i128) -> bool| -> i128 {
            self.events.iter().filter(|(time, _)| counts(*time)).map(|(_, units)| units).sum()
        };
        let room = match self.algorithm {
            Algorithm::Gcra => {
                let level = (self.mark - at * limit).clamp(0, terms.burst() * self.period);
                (terms.burst() * self.period - level) / self.period
            }
            Algorithm::FixedWindow => limit - if at < self.mark { sum(&|_| true) } else { 0 },
            Algorithm::AlignedWindow => limit - sum(&|time| time.div_euclid(self.period) == window),
            Algorithm::SlidingWindow => {
                let now = sum(&|time| time.div_euclid(self.period) == window);
                let before = sum(&|time| time.div_euclid(self.period) == window - 1).min(limit);
                // In steps that a double can count.
                let step = (limit * self.period + (1 << 52) - limit - 1) / ((1 << 52) - limit);
                let steps = (self.period + step - 1) / step;
                let share = steps - at.rem_euclid(self.period) / step;
                limit - now - (before * share + steps - 1) / steps
            }
            Algorithm::SlidingLog => limit - sum(&|time| time > at - self.period),
            Algorithm::IntervalRefill => terms.burst() - self.refilled(terms, at).1,
            _ => unreachable!("another algorithm"),
        };
        room.max(0) as u64
    }

    /// When the period of a bucket began, and how many units it lacks.
    fn refilled(&self, terms: Terms, at: i128) -> (i128, i128) {
        let (mut since, mut missing) = (self.mark, self.missing.min(terms.burst()));
        while missing > 0 && since + self.period <= at {
            (since, missing) = (since + self.period, missing - terms.limit());
        }
        if missing > 0 { (since, missing) } else { (at, 0) }
    }

    /// How long until so many units can be taken; the room only grows while nobody takes.
    pub(super) fn wait(&self, terms: Terms, now: i128, units: u64) -> u64 {
        if self.room(terms, now) >= units {
            return 0;
        }
        let (mut low, mut high) = (now, now + self.period);
        while self.room(terms, high) < units {
            (low, high) = (high, high + (high - now) * 2);
            assert!(high - now < 1 << 60, "never");
        }
        while high - low > 1 {
            let middle = (low + high) / 2;
            if self.room(terms, middle) < units { low = middle } else { high = middle }
        }
        (high - now) as u64
    }

    /// The clock may have gone back: nothing lies ahead.
    pub(super) fn settle(&mut self, terms: Terms, now: i128) {
        let window = |time: i128| time.div_euclid(self.period);
        match self.algorithm {
            Algorithm::Gcra => self.mark = self.mark.min(now * terms.limit() + terms.burst() * self.period),
            Algorithm::FixedWindow => self.mark = self.mark.min(now + self.period),
            Algorithm::AlignedWindow => {
                let ahead = |time: i128| window(time) > window(now);
                self.events =
                    self.events.iter().map(|&(time, units)| (if ahead(time) { now } else { time }, units)).collect();
            }
            Algorithm::SlidingWindow => {
                let by = (window(self.mark) - window(now)).max(0) * self.period;
                self.events.iter_mut().for_each(|(time, _)| *time -= by);
                self.mark -= by;
            }
            Algorithm::SlidingLog => {
                let ahead: i128 = self.events.iter().filter(|(time, _)| *time > now).map(|(_, units)| units).sum();
                self.events.retain(|(time, _)| *time <= now);
                self.events.extend((ahead > 0).then_some((now, ahead)));
            }
            Algorithm::IntervalRefill if self.mark > now => {
                (self.mark, self.missing) = (now, self.missing.min(terms.burst()));
            }
            Algorithm::IntervalRefill => {}
            _ => unreachable!("another algorithm"),
        }
    }

    /// Takes units for which there is room.
    pub(super) fn take(&mut self, terms: Terms, now: i128, units: u64) {
        if units == 0 {
            return;
        }
        let period = self.period;
        let window = move |time: i128| time.div_euclid(period);
        match self.algorithm {
            Algorithm::Gcra => self.mark = self.mark.max(now * terms.limit()) + i128::from(units) * period,
            Algorithm::FixedWindow if self.mark <= now || self.events.is_empty() => {
                self.events.clear();
                self.mark = now + period;
            }
            Algorithm::AlignedWindow => self.events.retain(|(time, _)| window(*time) == window(now)),
            Algorithm::SlidingWindow => {
                self.events.retain(|(time, _)| window(*time) >= window(now) - 1);
                self.mark = now;
            }
            Algorithm::SlidingLog => {
                let over = self.events.iter().filter(|(time, _)| *time <= now - period).count();
                if over * 2 > self.events.len() {
                    self.events.drain(..over);
                }
            }
            Algorithm::IntervalRefill => {
                (self.mark, self.missing) = self.refilled(terms, now);
                self.missing += i128::from(units);
            }
            _ => {}
        }
        self.events.push((now, units.into()));
    }

    /// Gives units back, the newest first.
    pub(super) fn give_back(&mut self, terms: Terms, now: i128, units: u64) {
        let mut units = i128::from(units);
        let period = self.period;
        let window = move |time: i128| time.div_euclid(period);
        let mark = self.mark;
        let counts: Box<dyn Fn(i128) -> bool> = match self.algorithm {
            Algorithm::Gcra => {
                self.mark -= units * period;
                if self.mark <= now * terms.limit() {
                    self.mark = 0;
                }
                return;
            }
            Algorithm::IntervalRefill => {
                let (since, missing) = self.refilled(terms, now);
                if units > 0 && missing > 0 {
                    (self.mark, self.missing) = (since, (missing - units).max(0));
                }
                return;
            }
            Algorithm::FixedWindow => Box::new(move |_| now < mark),
            Algorithm::AlignedWindow => Box::new(move |time| window(time) == window(now)),
            Algorithm::SlidingWindow => Box::new(move |time| window(time) >= window(now) - 1),
            _ => Box::new(move |time| time > now - period),
        };
        if !self.events.iter().any(|(time, _)| counts(*time)) || units == 0 {
            return;
        }
        if self.algorithm == Algorithm::SlidingWindow {
            self.mark = now;
            self.events.retain(|(time, _)| window(*time) >= window(now) - 1);
        }
        while let Some((_, last)) = self.events.last_mut().filter(|(time, _)| units > 0 && counts(*time)) {
            let given = units.min(*last);
            (units, *last) = (units - given, *last - given);
            if *last == 0 {
                self.events.pop();
            }
        }
        if !self.events.iter().any(|(time, _)| counts(*time)) {
            self.events.clear();
        }
    }
}
