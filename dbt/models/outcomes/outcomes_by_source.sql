{{ outcome_counts('source') }}
