"""What a third party would write: a scorer, a grader and a policy, announced by entry points."""
