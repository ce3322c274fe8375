"""What is read of a run: tables and sentences in the terminal, doubts, figures, and one page of HTML."""
