{{ conversion_counts('segment') }}
