"""The jobs: dispatcher, actors, and what each job does."""
