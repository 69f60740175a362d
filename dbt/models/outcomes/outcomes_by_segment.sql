{{ outcome_counts('segment') }}
