"""Measuring: how well passages are found, and whether one way of finding them is better than another."""
