using System.Net.Sockets;
using System.Text;

namespace Kcore.Ctl.Tests;

/// <summary>A Unix socket that answers every request with prepared bytes and keeps what it was asked.</summary>
internal sealed class FakeDaemon : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kctl").FullName;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Thread _thread;
    private readonly Func<string, byte[]> _answer;
    private readonly ManualResetEventSlim _hold = new();

    /// <param name="answer">Request line to raw response.</param>
    public FakeDaemon(Func<string, byte[]> answer)
    {
        _answer = answer;
        Path = System.IO.Path.Combine(_directory, "s");
        _listener.Bind(new UnixDomainSocketEndPoint(Path));
        _listener.Listen();
        _thread = new Thread(Serve);
        _thread.Start();
    }

    public string Path { get; }

    public List<string> Requests { get; } = [];

    public string LastBody { get; private set; } = "";

    /// <summary>Keeps connections open after the answer, as a followed stream does.</summary>
    public bool HoldOpen { get; init; }

    public static byte[] Reply(string body, int status = 200) =>
        Encoding.UTF8.GetBytes($"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    public static byte[] Chunked(params string[] chunks) => Encoding.UTF8.GetBytes(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + string.Concat(chunks.Select(c => $"{Encoding.UTF8.GetByteCount(c):x};ext=1\r\n{c}\r\n")) + "0\r\nTrailer: x\r\n\r\n");

    public void Dispose()
    {
        _hold.Set();
        _listener.Dispose();
        _thread.Join();
        Directory.Delete(_directory, recursive: true);
    }

    private void Serve()
    {
        try
        {
            while (true)
            {
                using Socket client = _listener.Accept();
                try
                {
                    string line = ReadRequest(client);
                    client.Send(_answer(line));
                    if (HoldOpen)
                    {
                        _hold.Wait();
                    }
                }
                catch (SocketException)
                {
                    // The client hung up on an answer it did not want; that is what some tests are about.
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Disposed: the test is over.
        }
    }

    private string ReadRequest(Socket client)
    {
        var text = new StringBuilder();
        byte[] buffer = new byte[4096];
        while (true)
        {
            int read = client.Receive(buffer);
            text.Append(Encoding.UTF8.GetString(buffer, 0, read));
            string all = text.ToString();
            int end = all.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (read == 0 || (end >= 0 && all.Length - end - 4 >= ContentLength(all[..end])))
            {
                string line = all.Split("\r\n")[0].Replace(" HTTP/1.1", "", StringComparison.Ordinal);
                Requests.Add(line);
                LastBody = end < 0 ? "" : all[(end + 4)..];
                return line;
            }
        }
    }

    private static int ContentLength(string head) =>
        head.Split("\r\n").FirstOrDefault(h => h.StartsWith("Content-Length: ", StringComparison.Ordinal)) is { } header
            ? int.Parse(header[16..], System.Globalization.CultureInfo.InvariantCulture)
            : 0;
}
