"""Mean field theory of deep stacks in the limit of wide layers."""
