"""Many runs, one table: every method on every order and seed of a stream, and what may be concluded from them.

:mod:`plan` lists the cells and their folders, :mod:`work` runs them side by side, within a :mod:`time_limit` if there
is one, :mod:`collect` gathers what they left, :mod:`statistics` says what is noise, :mod:`tables` and :mod:`figures`
show it, :mod:`page` puts it into one file.
"""
