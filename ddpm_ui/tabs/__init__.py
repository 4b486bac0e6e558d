"""The exhibits, one file each. A tab has build() and show(recipe, view), the values of its outputs."""
