{{ outcome_counts('business_area') }}
