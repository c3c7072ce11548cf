"""What models cost: price lists, their import, comparison and refreshing."""
