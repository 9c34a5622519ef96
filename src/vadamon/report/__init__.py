"""From a recording to what a person looks at."""
