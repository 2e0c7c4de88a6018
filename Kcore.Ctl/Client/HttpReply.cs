using System.Globalization;
using System.Text;

namespace Kcore.Ctl.Client;

/// <summary>The head of an HTTP/1.1 response and the stream of its body (RFC 9112).</summary>
internal sealed class HttpReply
{
    /// <summary>Kestrel's heads are some 150 bytes; more than this is not our daemon.</summary>
    private const int HeadMaxBytes = 16 * 1024;

    private HttpReply(int status, Stream body)
    {
        Status = status;
        Body = body;
    }

    public int Status { get; }

    public Stream Body { get; }

    public static HttpReply Read(BufferedStream connection)
    {
        int budget = HeadMaxBytes;
        int status = ParseStatus(ReadLine(connection, ref budget));
        long? length = null;
        bool chunked = false;
        while (ReadLine(connection, ref budget) is { Length: > 0 } line)
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0)
            {
                throw CommandFailure.BadReply("the answer on the socket is not HTTP: a header has no name");
            }

            string value = line[(colon + 1)..].Trim();
            switch (line[..colon].ToLowerInvariant())
            {
                case "content-length":
                    length = long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long bytes)
                        ? bytes
                        : throw CommandFailure.BadReply("the answer on the socket has no readable Content-Length");
                    break;
                case "transfer-encoding":
                    chunked = value.Equals("chunked", StringComparison.OrdinalIgnoreCase)
                        ? true
                        : throw CommandFailure.BadReply("the answer on the socket has an unknown Transfer-Encoding");
                    break;
                default:
                    break;
            }
        }

        // Chunked wins over a length (RFC 9112 §6.3); with neither the body ends with the connection.
        return new HttpReply(status, chunked ? new ChunkedBody(connection) : new PlainBody(connection, length));
    }

    /// <summary>One line without its CRLF; <paramref name="budget"/> bounds all lines of one head together.</summary>
    internal static string ReadLine(BufferedStream connection, ref int budget)
    {
        var line = new StringBuilder(64);
        while (true)
        {
            int value = connection.ReadByte();
            if (value < 0)
            {
                throw CommandFailure.WentAway();
            }

            if (--budget < 0)
            {
                throw CommandFailure.BadReply("the answer on the socket is not HTTP: its head has no end");
            }

            if (value == '\n')
            {
                return line.ToString().TrimEnd('\r');
            }

            line.Append((char)value);
        }
    }

    private static int ParseStatus(string line) =>
        line.StartsWith("HTTP/1.", StringComparison.Ordinal)
        && line.Length >= 12
        && int.TryParse(line.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture, out int status)
        && status is >= 200 and <= 599
            ? status
            : throw CommandFailure.BadReply("the answer on the socket is not HTTP: is this kcored's socket?");
}
