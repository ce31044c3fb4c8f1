"""How results are told to people, in a notebook, in a report and in text alike."""
