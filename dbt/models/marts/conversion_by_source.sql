{{ conversion_counts('source') }}
