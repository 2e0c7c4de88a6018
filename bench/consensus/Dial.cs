using System.Net;
using System.Net.Sockets;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Consensus;

/// <summary>Connections from the switch of the lab: a host of the LAN that is none of the nodes.</summary>
internal static class Dial
{
    public static async Task<NetworkStream> ConnectAsync(NodeLan lan, string address, int port, CancellationToken token)
    {
        // A socket belongs for life to the namespace it was made in.
        Socket socket = Netns.Run(lan.Switch, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(address), port), token);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (Exception e)
        {
            socket.Dispose();
            throw e is SocketException ? new IOException(e.Message, e) : e;
        }
    }
}
