"""Recipes, extractors, steps and the engine that runs them on Ray."""
