"""Colours of pictures: darker as memory is used more, so that they read in greyscale too."""

# Of Matplotlib's magma, which is even to the eye, what is clearly darker than `NOT_ACCESSED`.
HEAT = (
    (0.0, "#fec68a"),
    (0.125, "#fd9668"),
    (0.25, "#f2645c"),
    (0.375, "#d3436e"),
    (0.5, "#aa337d"),
    (0.625, "#802582"),
    (0.75, "#56147d"),
    (0.875, "#2a115c"),
    (1.0, "#090720"),
)
NOT_ACCESSED = "#eef0f2"
UNKNOWN = "#ffffff"  # hatched
UNKNOWN_PLAIN = "#b8cbd9"  # where there are no hatches
HATCH = "////"
HATCH_COLOUR = "#8a9099"

# Hot, warm, cold, untouched, unknown, unmonitored.
CLASS_COLOURS = ("#6b1d81", "#e65164", "#fec488", "#e3e6e9", UNKNOWN, "#ffffff")
# From the least threshold to the greatest.
LINES = ("#fea873", "#de4968", "#812581", "#1c1044")
# Areas side by side, the greatest first.
AREAS = ("#4f127b", "#b5367a", "#f9795d", "#fec488", "#5b7f95", "#94b4c1", "#c9d6df", "#8a9099")
BEFORE, HOTTER, COLDER = "#cfd5da", "#b5367a", "#5b7f95"


def line_colour(k: int, nr_lines: int) -> str:
    """Return the colour of line ``k`` of so many."""
    return LINES[k * len(LINES) // nr_lines]
