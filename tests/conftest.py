"""Lets tests in folders below this one import its helpers (`warc_files`, `webserver`, `beam_testing`)."""
