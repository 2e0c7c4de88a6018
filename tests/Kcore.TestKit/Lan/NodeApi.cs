using System.Collections.Immutable;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Kcore.Contracts;

namespace Kcore.TestKit.Lan;

/// <summary>What a daemon answered, or that it did not.</summary>
/// <param name="Status">Null: no answer.</param>
public sealed record ApiAnswer<T>(HttpStatusCode? Status, T? Value, string Said)
    where T : class;

/// <summary>A daemon did not answer, or not with what was asked for.</summary>
public sealed class NodeSilentException(string message, Exception inner) : TimeoutException(message, inner);

/// <summary>One daemon asked over its socket, without a process for every question.</summary>
public sealed class NodeApi : IDisposable
{
    private readonly HttpClient _client;

    public NodeApi(string socketPath, TimeSpan patience)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, token) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), token);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        _client = new HttpClient(handler) { BaseAddress = new Uri("http://kcore"), Timeout = patience };
    }

    public async Task<ApiAnswer<NicInfo>> AttachAsync(string network, string name) => await AskAsync(
        () => _client.PostAsJsonAsync(Routes.Nics, new AttachNicRequest { Name = name, Network = network }, ApiJson.Default.AttachNicRequest),
        content => content.ReadFromJsonAsync(ApiJson.Default.NicInfo));

    public async Task<ApiAnswer<ChangeReceipt>> DetachAsync(string network, string name) => await AskAsync(
        () => _client.DeleteAsync(new Uri($"{Routes.Nics}/{network}/{name}", UriKind.Relative)),
        content => content.ReadFromJsonAsync(ApiJson.Default.ChangeReceipt));

    /// <summary>The NICs of the whole cluster as this node knows them.</summary>
    public async Task<ImmutableArray<NicInfo>> NicsAsync(string network) =>
        await _client.GetFromJsonAsync($"{Routes.Nics}?network={network}", ApiJson.Default.ImmutableArrayNicInfo);

    public async Task<NetworkAddresses> AddressesAsync(string network, bool local = false) =>
        (await _client.GetFromJsonAsync($"{Routes.Ips}?network={network}{(local ? "&local=true" : "")}", ApiJson.Default.NetworkAddresses))!;

    public async Task<StatusReport> StatusAsync() => (await _client.GetFromJsonAsync(Routes.Status, ApiJson.Default.StatusReport))!;

    public async Task<ClusterReport> ClusterAsync() => (await _client.GetFromJsonAsync(Routes.Cluster, ApiJson.Default.ClusterReport))!;

    /// <summary>What this node has recorded after the given sequence number.</summary>
    public async Task<ImmutableArray<EventInfo>> EventsAsync(long after) =>
    [
        .. (await _client.GetStringAsync(new Uri($"{Routes.Events}?since={after}", UriKind.Relative)))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonSerializer.Deserialize(line, ApiJson.Default.EventInfo)!),
    ];

    public void Dispose() => _client.Dispose();

    private static async Task<ApiAnswer<T>> AskAsync<T>(Func<Task<HttpResponseMessage>> ask, Func<HttpContent, Task<T?>> read)
        where T : class
    {
        try
        {
            using HttpResponseMessage answer = await ask();
            return answer.IsSuccessStatusCode
                ? new ApiAnswer<T>(answer.StatusCode, await read(answer.Content), "")
                : new ApiAnswer<T>(answer.StatusCode, null, await answer.Content.ReadAsStringAsync());
        }
        catch (Exception e) when (e is HttpRequestException or IOException or TaskCanceledException)
        {
            return new ApiAnswer<T>(null, null, e.Message);
        }
    }
}
