"""What a third party would write: an encoder, a scorer, a grader and a policy, announced by entry points."""
