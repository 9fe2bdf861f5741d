//! What was worked out lately, by its place in a row: a pass asks for neighbours again and again.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

/// That many are kept.
const KEPT: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Recent<T>(RefCell<VecDeque<(usize, Rc<T>)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Recent<T> {
    /// What is known of a place, or else is made now.
    pub(super) fn get<E>(&self, at: usize, work_out: impl FnOnce() -> Result<T, E>) -> Result<Rc<T>, E> {
        if let Some((_, known)) = self.0.borrow().iter().find(|(place, _)| *place == at) {
            return Ok(Rc::clone(known));
        }
        let value = Rc::new(work_out()?);
        let mut kept = self.0.borrow_mut();
        kept.push_back((at, Rc::clone(&value)));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Recent};
    use std::cell::Cell;

    #[test]
    fn what_is_kept_is_made_once_the_oldest_goes_and_an_error_is_not_kept() {
        let (recent, times) = (Recent::default(), Cell::new(0));
        let get = |at: usize| {
            let work_out = || {
                times.set(times.get() + 1);
                if at == 99 { Err("no") } else { Ok(at * 10) }
            };
            recent.get(at, work_out).map(|value| *value)
        };
        assert_eq!((get(1), get(1), times.get()), (Ok(10), Ok(10), 1));
        assert_eq!((get(99), get(99), times.get()), (Err("no"), Err("no"), 3));
        for at in 2..=KEPT {
            get(at).unwrap();
        }
        assert_eq!((get(1), times.get()), (Ok(10), 2 + KEPT));
        get(KEPT + 1).unwrap();
        get(1).unwrap();
        assert_eq!(times.get(), 4 + KEPT, "the oldest was made again");
    }
}
