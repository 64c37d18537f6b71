//! Invariants of lanes over any corpus.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use std::{collections::HashMap, num::NonZeroUsize};

use burn_dragon_stream::api::{
    DocumentCursor, Documents, LanePosition, Lanes, Order, Shard, Span, StreamError, permute, resets,
};

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, count: usize) -> usize {
        self.0 += 1;
        permute(self.0, u64::MAX, 0xC0FFEE) as usize % count
    }

    fn lengths(&mut self) -> Vec<usize> {
        let count = 1 + self.below(12);
        let mut lengths: Vec<_> = (0..count).map(|_| self.below(30)).collect();
        lengths.push(2 + self.below(10)); // at least one with an input
        lengths
    }

    fn order(&mut self) -> Order {
        match self.below(3) {
            0 => Order::Given,
            _ => Order::Shuffled { seed: self.0 },
        }
    }

    fn context(&mut self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.below(12))
    }

    fn documents(&mut self) -> Documents {
        let documents = Documents::from_lengths(&self.lengths()).unwrap();
        match NonZeroUsize::new(self.below(15)) {
            Some(inputs) => documents.cut(inputs),
            None => documents,
        }
    }
}

/// Every input of the spans, and whether memory is emptied before it.
fn inputs(spans: &[Span]) -> Vec<(usize, usize, bool)> {
    let of = |span: &Span| {
        let Span {
            document,
            start,
            len,
            begins,
        } = *span;
        (0..len).map(move |i| (document, start + i, begins && i == 0))
    };
    spans.iter().flat_map(of).collect()
}

#[test]
fn spans_fill_every_request_exactly_and_only_the_first_goes_on() {
    let mut numbers = Numbers(1);
    for _ in 0..300 {
        let documents = numbers.documents();
        let mut cursor = DocumentCursor::new(&documents, numbers.order(), Shard::WHOLE)
            .unwrap()
            .with_max_context(numbers.context());
        for _ in 0..20 {
            let tokens = numbers.below(50);
            let spans = cursor.next(tokens);
            assert_eq!(spans.iter().map(|span| span.len).sum::<usize>(), tokens);
            assert!(spans.iter().all(|span| span.len > 0));
            assert!(spans.iter().skip(1).all(|span| span.begins), "{spans:?}");
            let end = documents.fingerprint().tokens;
            assert!(spans.iter().all(|span| documents.targets_of(span).end <= end));
        }
    }
}

#[test]
fn nothing_is_predicted_across_documents() {
    let mut numbers = Numbers(2);
    for _ in 0..300 {
        let lengths = numbers.lengths();
        let documents = Documents::from_lengths(&lengths).unwrap();
        let mut cursor = DocumentCursor::new(&documents, numbers.order(), Shard::WHOLE).unwrap();
        for span in cursor.next(400) {
            assert!(span.targets().end <= lengths[span.document]);
            assert_eq!(span.inputs().start + 1, span.targets().start);
        }
    }
}

#[test]
fn every_input_of_an_epoch_is_read_once_over_all_lanes() {
    let mut numbers = Numbers(3);
    for _ in 0..300 {
        let (documents, order, lanes) = (numbers.documents(), numbers.order(), 1 + numbers.below(6));
        let mut reads = HashMap::new();
        for lane in 0..lanes {
            let shard = Shard::new(lane, lanes).unwrap();
            let mut cursor = DocumentCursor::new(&documents, order, shard).unwrap();
            loop {
                let epoch = cursor.epoch();
                if epoch >= 3 {
                    break;
                }
                for (document, input, _) in inputs(&cursor.next(1)) {
                    *reads.entry((epoch, document, input)).or_insert(0) += 1;
                }
            }
        }
        assert_eq!(reads.len(), 3 * documents.inputs());
        assert!(reads.values().all(|&times| times == 1));
    }
}

#[test]
fn resuming_anywhere_equals_never_stopping_however_the_requests_are_split() {
    let mut numbers = Numbers(4);
    for _ in 0..200 {
        let (documents, order, context) = (numbers.documents(), numbers.order(), numbers.context());
        let shard = Shard::new(numbers.below(3), 3).unwrap();
        let new = || {
            DocumentCursor::new(&documents, order, shard)
                .unwrap()
                .with_max_context(context)
        };
        let whole = inputs(&new().next(200));
        let (mut pieces, mut cursor) = (Vec::new(), new());
        while pieces.len() < 200 {
            let text = serde_json::to_string(&cursor.position()).unwrap();
            let position: LanePosition = serde_json::from_str(&text).unwrap();
            let mut resumed = new();
            resumed.seek(&position).unwrap();
            assert_eq!(resumed.position(), position);
            let tokens = (1 + numbers.below(9)).min(200 - pieces.len());
            pieces.extend(inputs(&resumed.next(tokens)));
            cursor.next(tokens);
            assert_eq!(resumed.position(), cursor.position());
        }
        assert_eq!(pieces, whole);
    }
}

#[test]
fn memory_is_emptied_at_documents_and_after_the_maximum_context_and_nowhere_else() {
    let mut numbers = Numbers(5);
    for _ in 0..200 {
        let (lengths, order, context) = (numbers.lengths(), numbers.order(), numbers.context());
        let documents = Documents::from_lengths(&lengths).unwrap();
        let cursor = DocumentCursor::new(&documents, order, Shard::WHOLE).unwrap();
        for (_, input, begins) in inputs(&cursor.with_max_context(context).next(300)) {
            let expected = context.map_or(input == 0, |context| input % context == 0);
            assert_eq!(begins, expected, "{input} {context:?}");
        }
    }
}

#[test]
fn a_piece_is_read_as_a_document_of_its_own() {
    let documents = Documents::from_lengths(&[12, 1, 5])
        .unwrap()
        .cut(NonZeroUsize::new(4).unwrap());
    let mut cursor = DocumentCursor::new(&documents, Order::Given, Shard::WHOLE).unwrap();
    let span = |document, start, len| Span {
        document,
        start,
        len,
        begins: true,
    };
    assert_eq!(
        cursor.next(15),
        [span(0, 0, 4), span(0, 4, 4), span(0, 8, 3), span(2, 0, 4)]
    );
}

#[test]
fn resets_say_where_each_lane_begins() {
    let mut numbers = Numbers(6);
    for _ in 0..100 {
        let (documents, order, count) = (numbers.documents(), numbers.order(), 1 + numbers.below(4));
        let mut lanes = Lanes::new(&documents, order, count)
            .unwrap()
            .with_max_context(numbers.context());
        for _ in 0..5 {
            let windows = lanes.next(30);
            assert_eq!(windows.len(), count);
            for (window, resets) in windows.iter().zip(resets(&windows)) {
                assert_eq!(window.len(), 30);
                let expected = inputs(&window.spans).into_iter().enumerate();
                let expected = expected.filter_map(|(index, (.., begins))| begins.then_some(index));
                assert!(resets.into_iter().eq(expected));
            }
        }
    }
}

#[test]
fn lanes_resume_together_and_are_the_shards() {
    let documents = Documents::from_lengths(&[30, 7, 55, 2, 18]).unwrap();
    let order = Order::Shuffled { seed: 9 };
    let mut lanes = Lanes::new(&documents, order, 3).unwrap();
    let mut alone = DocumentCursor::new(&documents, order, Shard::new(2, 3).unwrap()).unwrap();
    for step in 0..30 {
        let positions = lanes.positions();
        let windows = lanes.next(11 + step);
        assert_eq!(windows[2].spans, alone.next(11 + step));
        let mut resumed = Lanes::new(&documents, order, 3).unwrap();
        resumed.seek(&positions).unwrap();
        assert_eq!(resumed.next(11 + step), windows);
    }
}

#[test]
fn lanes_of_several_processes_are_the_lanes_of_one() {
    let documents = Documents::from_lengths(&[30, 7, 55, 2, 18]).unwrap();
    let all = Lanes::new(&documents, Order::Given, 6).unwrap().next(40);
    let parts = (0..3).flat_map(|process| {
        let shard = Shard::new(process, 3).unwrap();
        Lanes::of_shard(&documents, Order::Given, 2, shard)
            .unwrap()
            .next(40)
    });
    assert_eq!(parts.collect::<Vec<_>>(), all);
}

#[test]
fn lanes_that_take_no_part_stay_where_they_are() {
    let documents = Documents::from_lengths(&[30, 7, 55, 2, 18]).unwrap();
    let mut lanes = Lanes::new(&documents, Order::Given, 4).unwrap();
    let before = lanes.positions();
    let windows = lanes.next_of(&[3, 1], 9).unwrap();
    let mut together = Lanes::new(&documents, Order::Given, 4).unwrap();
    let expected = together.next(9);
    assert_eq!(windows, [expected[3].clone(), expected[1].clone()]);
    let after = lanes.positions();
    assert_eq!((after[0], after[2]), (before[0], before[2]));

    let error = lanes.next_of(&[0, 4], 9).unwrap_err();
    assert!(
        matches!(error, StreamError::LaneOutOfRange { lane: 4, lanes: 4 }),
        "{error}"
    );
    let error = lanes.next_of(&[0, 2, 0], 9).unwrap_err();
    assert!(matches!(error, StreamError::LaneTwice { lane: 0 }), "{error}");
    assert_eq!(lanes.positions(), after);
}

#[test]
fn a_position_that_does_not_belong_here_is_refused_and_moves_nothing() {
    let documents = Documents::from_lengths(&[30, 7, 55, 2, 18]).unwrap();
    let order = Order::Shuffled { seed: 9 };
    let mut lanes = Lanes::new(&documents, order, 2).unwrap();
    lanes.next(13);
    let here = lanes.positions();
    let seek = |positions: &[LanePosition]| {
        let mut lanes = lanes.clone();
        let error = lanes.seek(positions).unwrap_err();
        assert_eq!(lanes.positions(), here);
        error
    };

    assert!(matches!(
        seek(&here[..1]),
        StreamError::LaneCount {
            given: 1,
            expected: 2
        }
    ));
    assert!(matches!(
        seek(&[here[1], here[0]]),
        StreamError::OtherShard { .. }
    ));

    let others = [
        [30, 7, 55, 18, 2].as_slice(),
        &[30, 7, 55, 20],
        &[30, 7, 55, 2, 19],
    ];
    for lengths in others {
        let other = Lanes::new(&Documents::from_lengths(lengths).unwrap(), order, 2).unwrap();
        let error = seek(&other.positions());
        assert!(matches!(error, StreamError::OtherCorpus { .. }), "{error}");
    }
    let cut = documents.cut(NonZeroUsize::new(10).unwrap());
    let cut = Lanes::new(&cut, order, 2).unwrap();
    assert!(matches!(seek(&cut.positions()), StreamError::OtherCorpus { .. }));

    let given = Lanes::new(&documents, Order::Given, 2).unwrap();
    assert!(matches!(seek(&given.positions()), StreamError::OtherOrder { .. }));

    let mut behind = here.clone();
    behind[1].offset = 54;
    assert!(matches!(
        seek(&behind),
        StreamError::NoSuchOffset { offset: 54, .. }
    ));
    behind[1].walk.epoch = u64::MAX;
    assert!(matches!(seek(&behind), StreamError::NoSuchPosition { .. }));
}

#[test]
fn a_position_names_an_input_that_is_there() {
    let documents = Documents::from_lengths(&[5]).unwrap(); // 4 inputs
    let mut lanes = Lanes::new(&documents, Order::Given, 1).unwrap();
    let mut positions = lanes.positions();
    positions[0].offset = 3;
    lanes.seek(&positions).unwrap();
    positions[0].offset = 4;
    let error = lanes.seek(&positions).unwrap_err();
    assert!(
        matches!(error, StreamError::NoSuchOffset { offset: 4, inputs: 4 }),
        "{error}"
    );
}

#[test]
fn no_lanes_are_refused() {
    let documents = Documents::from_lengths(&[3]).unwrap();
    assert!(matches!(
        Lanes::new(&documents, Order::Given, 0),
        Err(StreamError::NoLanes)
    ));
}

#[test]
fn few_documents_keep_many_lanes_busy() {
    let documents = Documents::from_lengths(&[40, 40, 40]).unwrap();
    let windows = Lanes::new(&documents, Order::Shuffled { seed: 1 }, 8)
        .unwrap()
        .next(100);
    assert!(windows.iter().all(|window| window.len() == 100));
}

/// Saved positions are read again by later versions.
#[test]
fn a_position_is_written_as_it_always_was() {
    let documents = Documents::from_lengths(&[6, 4]).unwrap();
    let mut cursor = DocumentCursor::new(
        &documents,
        Order::Shuffled { seed: 1337 },
        Shard::new(0, 1).unwrap(),
    )
    .unwrap();
    cursor.next(10);
    let text = serde_json::to_string(&cursor.position()).unwrap();
    let order = r#"{"type":"shuffled","seed":1337}"#;
    let walk =
        format!(r#"{{"epoch":1,"index":0,"items":2,"order":{order},"shard":{{"index":0,"count":1}}}}"#);
    let corpus = r#"{"documents":2,"tokens":10,"digest":9266455042560526909}"#;
    assert_eq!(text, format!(r#"{{"walk":{walk},"offset":2,"corpus":{corpus}}}"#));
}
