using System.Net.Sockets;
using System.Text;
using Kcore.Netlink.Wireguard;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>WireGuard in a process, spoken to at its Unix socket.</summary>
internal sealed class UapiMeshDevice(string path, TimeProvider time) : IMeshDevice
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(5);

    /// <summary>A peer is told in about 400 bytes, and a cluster has a thousand nodes at most.</summary>
    private const int AnswerBytesMax = 4 * 1024 * 1024;

    public async Task<WireguardInfo> ReadAsync(CancellationToken token) =>
        UapiText.Read(await AskAsync(UapiText.Get, token)) ?? throw new IOException("wireguard-go says what cannot be read");

    public Task ChangeAsync(WireguardChange change, CancellationToken token) => AskAsync(UapiText.Set(change), token);

    private async Task<string> AskAsync(string request, CancellationToken token)
    {
        using CancellationTokenSource deadline = new(_patience, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, token);
        try
        {
            using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), either.Token);
            await socket.SendAsync(Encoding.ASCII.GetBytes(request), either.Token);
            string answer = await ReceiveAsync(socket, either.Token);
            return UapiText.Errno(answer) switch
            {
                0 => answer,
                { } errno => throw new IOException($"wireguard-go refused its configuration (errno {errno})"),
                null => throw new IOException("wireguard-go ended its answer early"),
            };
        }
        catch (OperationCanceledException e) when (!token.IsCancellationRequested)
        {
            throw new IOException($"wireguard-go did not answer within {_patience.TotalSeconds:0} s", e);
        }
        catch (SocketException e)
        {
            throw new IOException($"wireguard-go cannot be spoken to: {e.Message}", e);
        }
    }

    /// <summary>Up to the empty line that ends an answer.</summary>
    private static async Task<string> ReceiveAsync(Socket socket, CancellationToken token)
    {
        StringBuilder answer = new();
        byte[] buffer = new byte[16 * 1024];
        while (answer.Length < AnswerBytesMax)
        {
            int received = await socket.ReceiveAsync(buffer, token);
            answer.Append(Encoding.ASCII.GetString(buffer, 0, received));
            if (received == 0 || (answer.Length >= 2 && answer[^1] == '\n' && answer[^2] == '\n'))
            {
                break;
            }
        }

        return answer.ToString();
    }
}
