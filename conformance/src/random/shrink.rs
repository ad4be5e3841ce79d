//! Makes a list that fails as short and as simple as it can while it still fails.

use anyhow::Result;

/// Takes parts away and then makes the elements simpler, over and over, as long as it still fails.
/// The same list and the same answers of `fails` give the same result.
///
/// # Errors
/// That of `fails`.
pub async fn shrink<T: Clone>(
    mut list: Vec<T>,
    simpler: impl Fn(&T) -> Vec<T>,
    mut fails: impl AsyncFnMut(&[T]) -> Result<bool>,
) -> Result<Vec<T>> {
    loop {
        let shorter = take_away(list.clone(), &mut fails).await?;
        let (simplified, changed) = simplify(shorter, &simpler, &mut fails).await?;
        list = simplified;
        // Where an element became simpler, others may have lost their point.
        if !changed {
            return Ok(list);
        }
    }
}

/// Takes chunks away, half of the list at first and single elements at last. The end comes first:
/// what stands there matters least to what goes before.
async fn take_away<T: Clone>(
    mut list: Vec<T>,
    fails: &mut impl AsyncFnMut(&[T]) -> Result<bool>,
) -> Result<Vec<T>> {
    let mut size = list.len().div_ceil(2);
    while size > 0 {
        let before = list.len();
        let mut end = before;
        while end > 0 {
            let begin = end.saturating_sub(size);
            let without = [&list[..begin], &list[end..]].concat();
            if fails(&without).await? {
                list = without;
            }
            end = begin;
        }
        // Single elements are tried until none can go.
        if size > 1 || list.len() == before {
            size /= 2;
        }
    }
    Ok(list)
}

/// Replaces elements by simpler ones, in order; whether any was.
async fn simplify<T: Clone>(
    mut list: Vec<T>,
    simpler: impl Fn(&T) -> Vec<T>,
    fails: &mut impl AsyncFnMut(&[T]) -> Result<bool>,
) -> Result<(Vec<T>, bool)> {
    let mut changed = false;
    for at in 0..list.len() {
        while let Some(better) = first_that_fails(&list, at, &simpler, fails).await? {
            list = better;
            changed = true;
        }
    }
    Ok((list, changed))
}

async fn first_that_fails<T: Clone>(
    list: &[T],
    at: usize,
    simpler: impl Fn(&T) -> Vec<T>,
    fails: &mut impl AsyncFnMut(&[T]) -> Result<bool>,
) -> Result<Option<Vec<T>>> {
    for candidate in simpler(&list[at]) {
        let mut with = list.to_vec();
        with[at] = candidate;
        if fails(&with).await? {
            return Ok(Some(with));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn smaller(number: &u32) -> Vec<u32> {
        (0..*number).collect()
    }

    #[tokio::test]
    async fn what_is_needed_stays_and_nothing_else() {
        let list: Vec<u32> = (0..500).collect();
        let fails = async |list: &[u32]| Ok(list.contains(&17) && list.contains(&400));
        let shrunk = shrink(list, |_| Vec::new(), fails).await.unwrap();
        assert_eq!(shrunk, [17, 400]);
    }

    #[tokio::test]
    async fn elements_become_simpler() {
        let list: Vec<u32> = (0..100).collect();
        let fails = async |list: &[u32]| Ok(list.iter().sum::<u32>() >= 150);
        let shrunk = shrink(list, smaller, fails).await.unwrap();
        assert_eq!(shrunk.iter().sum::<u32>(), 150, "{shrunk:?}");
    }

    #[tokio::test]
    async fn an_element_that_lost_its_point_goes() {
        // Two are needed only as long as the first is large.
        let fails = async |list: &[u32]| {
            Ok(list.iter().any(|n| *n >= 3) && (list.iter().all(|n| *n < 9) || list.len() > 1))
        };
        let shrunk = shrink(vec![20, 1, 1], smaller, fails).await.unwrap();
        assert_eq!(shrunk, [3]);
    }

    #[tokio::test]
    async fn it_is_deterministic() {
        let list: Vec<u32> = (0..200).map(|n| n * 7 % 31).collect();
        let fails = async |list: &[u32]| Ok(list.iter().filter(|n| **n > 20).count() >= 5);
        let one = shrink(list.clone(), smaller, fails).await.unwrap();
        let two = shrink(list, smaller, fails).await.unwrap();
        assert_eq!(one, two);
        assert_eq!(one, [21; 5]);
    }

    #[tokio::test]
    async fn what_fails_empty_is_empty() {
        let shrunk = shrink(vec![1, 2, 3], smaller, async |_| Ok(true)).await;
        assert_eq!(shrunk.unwrap(), Vec::<u32>::new());
    }
}
