"""Fusion and smoothing, on numbers that can be checked by hand."""

import numpy as np
import pytest

from rag.rank import POOL, fuse, smooth


def vectors(*rows):
    array = np.array(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_fuse_weighs_both_scores_against_the_best_candidate():
    fused = fuse(np.array([0.5, 0.0]), np.array([2.0, 4.0]), 0.8)
    np.testing.assert_allclose(fused, [0.8 * 1 + 0.2 * 0.5, 0.8 * 1 / 1.5 + 0.2 * 1])


def test_fuse_without_a_matching_word_keeps_the_order_of_the_vectors():
    fused = fuse(np.array([0.1, 0.9, 0.4]), np.zeros(3), 0.8)
    assert np.argsort(-fused).tolist() == [1, 2, 0]


def test_smooth_of_two_candidates_is_their_weighted_mean():
    smoothed = smooth(np.array([1.0, 0.5]), vectors([1, 0], [0, 1]), 0.4)
    np.testing.assert_allclose(smoothed, [0.6 * 1.0 + 0.4 * 0.5, 0.6 * 0.5 + 0.4 * 1.0])


def test_smooth_moves_a_passage_among_good_ones_before_one_among_bad_ones():
    good, bad = [[1, 0.01 * i] for i in range(16)], [[0.01 * i, 1] for i in range(16)]
    scores = np.array([0.70, *[0.69] * 15, 0.71, *[0.3] * 15])
    smoothed = smooth(scores, vectors(*good, *bad), 0.5)
    np.testing.assert_allclose(smoothed[[0, 16]], [0.5 * 0.70 + 0.5 * 0.69, 0.5 * 0.71 + 0.5 * 0.3], atol=1e-4)


def test_smooth_without_a_share_changes_nothing():
    scores = np.array([0.3, 0.9, 0.5])
    np.testing.assert_allclose(smooth(scores, vectors([1, 0], [1, 1], [0, 1]), 0.0), scores)


@pytest.mark.parametrize("count", [0, 1])
def test_smooth_of_fewer_than_two_candidates_returns_them(count):
    scores = np.full(count, 0.5)
    np.testing.assert_array_equal(smooth(scores, np.ones((count, 4), dtype=np.float32), 0.4), scores)


def test_smooth_never_puts_a_candidate_of_the_pool_behind_one_outside():
    random = np.random.default_rng(1)
    scores = random.random(POOL * 3)
    pool = np.argsort(-scores)[:POOL]
    smoothed = smooth(scores, vectors(*random.normal(size=(POOL * 3, 8))), 0.9)
    rest = np.setdiff1d(np.arange(POOL * 3), pool)
    assert smoothed[pool].min() >= smoothed[rest].max()
    np.testing.assert_array_equal(smoothed[rest], scores[rest])
