"""Files: uploads to an app, and downloads from it.

- `names`: makes a server's file names safe
- `inputs`: `handle_file`, and the placeholders that files leave in encoded arguments
- `multipart`: the framing of an upload; no I/O
- `upload`: uploads files to an app: checked at submit, sent with the call
- `data`: finds and replaces the files in an output; no I/O
- `hls`: playlists of media streams; no I/O
- `download`: downloads files to disk, and resumes where a connection breaks
- `file`: `File`: a file that stays with the app until you fetch it
- `outputs`: the stage between translator and job that downloads an output's files
- `transfer`: transfers several files at once
"""
