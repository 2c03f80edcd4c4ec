"""Readers of labelled images, one file a layout: images, classes and ground-truth masks."""
