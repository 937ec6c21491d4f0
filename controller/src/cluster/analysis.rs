//! AnalysisRuns as objects, and the loop that measures them.
