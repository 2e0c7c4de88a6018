using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Kcore.Ctl.Client;

/// <summary>
/// HTTP/1.1 over the daemon's Unix socket, one connection per request.
/// </summary>
/// <remarks>
/// Our own rather than HttpClient: blocking calls on one socket need no thread pool, no connection pool and no epoll
/// thread, which together are most of the time an HttpClient program spends on its first request.
/// </remarks>
internal sealed class DaemonClient(string socketPath, CancellationToken interrupted)
{
    /// <summary>A list of 100,000 NICs is about 40 MiB; nothing honest is larger.</summary>
    private const int BodyMaxBytes = 64 * 1024 * 1024;

    /// <summary>One event; the daemon writes a few hundred bytes.</summary>
    private const int LineMaxBytes = 1024 * 1024;

    /// <summary>Reads come from the daemon's own replica, so silence means that it hangs.</summary>
    public TimeSpan ReadTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A write may have to wait for a quorum or for the kernel.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(60);

    public byte[] Get(string path) => Exchange("GET", path, null, ReadTimeout);

    public byte[] Delete(string path) => Exchange("DELETE", path, null, WriteTimeout);

    /// <summary>A change that needs no words.</summary>
    public byte[] Post(string path) => Exchange("POST", path, [], WriteTimeout);

    public byte[] Post<T>(string path, T body, JsonTypeInfo<T> type) =>
        Exchange("POST", path, JsonSerializer.SerializeToUtf8Bytes(body, type), WriteTimeout);

    /// <summary>Hands over every line of a streamed answer as it arrives; returns when the daemon ends the stream.</summary>
    public void Stream(string path, bool endless, Action<byte[]> onLine) =>
        Converse("GET", path, null, endless ? Timeout.InfiniteTimeSpan : ReadTimeout, reply =>
        {
            using var line = new MemoryStream();
            byte[] buffer = new byte[16 * 1024];
            int read;
            while ((read = reply.Body.Read(buffer)) > 0)
            {
                ReadOnlySpan<byte> rest = buffer.AsSpan(0, read);
                int end;
                while ((end = rest.IndexOf((byte)'\n')) >= 0)
                {
                    line.Write(rest[..end]);
                    Hand(line, onLine);
                    rest = rest[(end + 1)..];
                }

                line.Write(rest);
                if (line.Length > LineMaxBytes)
                {
                    throw CommandFailure.BadReply($"kcored sent an event of more than {LineMaxBytes} bytes");
                }
            }

            Hand(line, onLine);
            return [];
        });

    private static void Hand(MemoryStream line, Action<byte[]> onLine)
    {
        byte[] bytes = line.ToArray();
        line.SetLength(0);
        if (!bytes.AsSpan().Trim(" \r\t"u8).IsEmpty)
        {
            onLine(bytes);
        }
    }

    private byte[] Exchange(string method, string path, byte[]? content, TimeSpan timeout) =>
        Converse(method, path, content, timeout, reply => ReadAll(reply.Body));

    private byte[] Converse(string method, string path, byte[]? content, TimeSpan timeout, Func<HttpReply, byte[]> onSuccess)
    {
        interrupted.ThrowIfCancellationRequested();
        using Socket socket = DaemonSocket.Connect(socketPath);
        int milliseconds = timeout == Timeout.InfiniteTimeSpan ? 0 : (int)timeout.TotalMilliseconds;
        socket.ReceiveTimeout = milliseconds;
        socket.SendTimeout = milliseconds;
        using CancellationTokenRegistration closing = interrupted.Register(static s => ((Socket)s!).Dispose(), socket);
        try
        {
            using var network = new NetworkStream(socket);
            using var connection = new BufferedStream(network, 16 * 1024);
            Send(connection, method, path, content);
            HttpReply reply = HttpReply.Read(connection);
            return reply.Status < 300 ? onSuccess(reply) : throw Refusal(reply);
        }
        catch (Exception e) when (interrupted.IsCancellationRequested && e is IOException or SocketException or ObjectDisposedException or CommandFailure)
        {
            throw new OperationCanceledException("interrupted", e, interrupted);
        }
        catch (IOException e)
        {
            bool silent = e.InnerException is SocketException { SocketErrorCode: SocketError.TimedOut or SocketError.WouldBlock };
            string what = silent ? $"kcored did not answer within {timeout.TotalSeconds:0.#} s" : "the connection to kcored broke off";
            throw method == "GET"
                ? DaemonSocket.Lost(socketPath, what)
                : DaemonSocket.Lost(socketPath, what, "the change may have been made all the same: look before you repeat it");
        }
    }

    private static void Send(BufferedStream connection, string method, string path, byte[]? content)
    {
        string head = $"{method} {path} HTTP/1.1\r\nHost: kcored\r\nAccept: application/json\r\nUser-Agent: kctl\r\nConnection: close\r\n"
            + (content is null ? "\r\n" : $"Content-Type: application/json\r\nContent-Length: {content.Length}\r\n\r\n");
        connection.Write(Encoding.ASCII.GetBytes(head));
        connection.Write(content ?? []);
        connection.Flush();
    }

    private static CommandFailure Refusal(HttpReply reply)
    {
        byte[] body = ReadAll(reply.Body);
        try
        {
            if (JsonSerializer.Deserialize(body, Replies.Json.Problem) is { Message.Length: > 0 } problem)
            {
                return new CommandFailure(problem with { Details = problem.Details.OrEmpty() });
            }
        }
        catch (JsonException)
        {
            // Not a problem document; what there is goes to the user below.
        }

        string start = Encoding.UTF8.GetString(body, 0, Math.Min(body.Length, 200));
        return CommandFailure.BadReply($"kcored answered HTTP {reply.Status} without saying why", start.Length == 0 ? [] : [start]);
    }

    private static byte[] ReadAll(Stream body)
    {
        using var all = new MemoryStream();
        byte[] buffer = new byte[16 * 1024];
        int read;
        while ((read = body.Read(buffer)) > 0)
        {
            if (all.Length + read > BodyMaxBytes)
            {
                throw CommandFailure.BadReply($"kcored's answer is larger than {BodyMaxBytes >> 20} MiB");
            }

            all.Write(buffer, 0, read);
        }

        return all.ToArray();
    }
}
