using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip.Wire.Sealing;
using Kcore.TestKit;

#pragma warning disable CA5359 // The careless side is the point: the other one has to refuse by itself.

namespace Kcore.Daemon.Tests.Cluster.Trust;

public sealed class TlsTests
{
    private static readonly UInt128 A = 0xA;
    private static readonly UInt128 B = UInt128.MaxValue;

    [Fact]
    public void The_authority_key_is_the_same_for_every_holder_of_the_secret_and_only_for_them()
    {
        using ECDsa one = ClusterCertificates.DeriveAuthorityKey(Secret(1));
        using ECDsa same = ClusterCertificates.DeriveAuthorityKey(Secret(1));
        using ECDsa other = ClusterCertificates.DeriveAuthorityKey(Secret(2));

        Assert.Equal(one.ExportSubjectPublicKeyInfo(), same.ExportSubjectPublicKeyInfo());
        Assert.NotEqual(one.ExportSubjectPublicKeyInfo(), other.ExportSubjectPublicKeyInfo());
        byte[] signature = one.SignData("x"u8, HashAlgorithmName.SHA256);
        Assert.True(same.VerifyData("x"u8, signature, HashAlgorithmName.SHA256));
    }

    [Fact]
    public async Task Holders_of_one_key_know_each_other_by_uid_in_both_directions()
    {
        using ClusterCertificates a = Certificates(1, A);
        using ClusterCertificates b = Certificates(1, B);
        await using Pair pair = await Pair.ConnectAsync();

        Task server = pair.Server.AuthenticateAsServerAsync(new TlsOptions(a).ForServer());
        await pair.Client.AuthenticateAsClientAsync(new TlsOptions(b).ForClient(expectedPeer: A));
        await server;

        Assert.Equal(B, TlsOptions.PeerOf(pair.Server));
        Assert.Equal(A, TlsOptions.PeerOf(pair.Client));
        Assert.Equal(SslProtocols.Tls13, pair.Server.SslProtocol);
        await pair.Client.WriteAsync("hello"u8.ToArray());
        byte[] received = new byte[5];
        await pair.Server.ReadExactlyAsync(received);
        Assert.Equal("hello"u8, received);
    }

    [Fact]
    public async Task A_node_with_a_clock_years_off_is_still_a_member()
    {
        using ClusterCertificates a = Certificates(1, A);
        using var b = new ClusterCertificates(
            new KeyRing(Secret(1)), B, new SteppedTime(new DateTimeOffset(1999, 1, 1, 0, 0, 0, TimeSpan.Zero)));

        Assert.Null(await HandshakeFailureAsync(new TlsOptions(a).ForServer(), new TlsOptions(b).ForClient()));
    }

    [Fact]
    public async Task Nodes_in_the_middle_of_a_rotation_accept_each_other()
    {
        var ring = new KeyRing(Secret(1));
        ring.TryAdd(Secret(2));
        var rotated = new KeyRing(Secret(2));
        rotated.TryAdd(Secret(1));
        using var a = new ClusterCertificates(ring, A, TimeProvider.System);
        using var b = new ClusterCertificates(rotated, B, TimeProvider.System);
        foreach (uint key in rotated.KeyIds)
        {
            // The name the dialler gives says which of the keys the handshake is about.
            SslClientAuthenticationOptions client = new TlsOptions(b).ForClient(keyId: key);
            Assert.Null(await HandshakeFailureAsync(new TlsOptions(a).ForServer(client.TargetHost), client));
        }
    }

    [Fact]
    public async Task A_handshake_about_a_key_the_server_has_not_fails_at_the_client_whatever_else_they_share()
    {
        var rotated = new KeyRing(Secret(2));
        rotated.TryAdd(Secret(1));
        using ClusterCertificates a = Certificates(1, A);
        using var b = new ClusterCertificates(rotated, B, TimeProvider.System);
        SslClientAuthenticationOptions client = new TlsOptions(b).ForClient();

        Assert.Equal("client", await HandshakeFailureAsync(new TlsOptions(a).ForServer(client.TargetHost), client));
    }

    [Fact]
    public async Task A_retired_key_opens_no_stream_any_more()
    {
        var ring = new KeyRing(Secret(1));
        ring.TryAdd(Secret(2));
        ring.Use(Secret(2).KeyId);
        using var tls = new ClusterTls(ring, A, TimeProvider.System);
        using ClusterCertificates late = Certificates(1, B);
        SslClientAuthenticationOptions client = new TlsOptions(late).ForClient();
        Assert.Null(await HandshakeFailureAsync(tls.Current.ForServer(client.TargetHost), client));

        ring.Remove(Secret(1).KeyId);
        Assert.NotNull(await HandshakeFailureAsync(tls.Current.ForServer(client.TargetHost), client));
        SslClientAuthenticationOptions careless = new TlsOptions(late).ForClient();
        careless.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        Assert.Equal("server", await HandshakeFailureAsync(tls.Current.ForServer(client.TargetHost), careless));
    }

    [Fact]
    public async Task A_server_refuses_a_client_with_another_key()
    {
        using ClusterCertificates a = Certificates(1, A);
        using ClusterCertificates stranger = Certificates(2, B);
        SslClientAuthenticationOptions careless = new TlsOptions(stranger).ForClient();
        careless.RemoteCertificateValidationCallback = (_, _, _, _) => true;

        Assert.Equal("server", await HandshakeFailureAsync(new TlsOptions(a).ForServer(), careless));
    }

    [Fact]
    public async Task A_client_refuses_a_server_with_another_key()
    {
        using ClusterCertificates stranger = Certificates(2, A);
        using ClusterCertificates b = Certificates(1, B);
        SslServerAuthenticationOptions careless = new TlsOptions(stranger).ForServer();
        careless.RemoteCertificateValidationCallback = (_, _, _, _) => true;

        Assert.Equal("client", await HandshakeFailureAsync(careless, new TlsOptions(b).ForClient()));
    }

    [Fact]
    public async Task A_client_refuses_a_member_that_is_not_the_one_it_dialled()
    {
        using ClusterCertificates a = Certificates(1, A);
        using ClusterCertificates b = Certificates(1, B);

        Assert.Equal("client", await HandshakeFailureAsync(new TlsOptions(a).ForServer(), new TlsOptions(b).ForClient(expectedPeer: 0xC)));
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_refused()
    {
        using ClusterCertificates a = Certificates(1, A);
        var bare = new SslClientAuthenticationOptions
        {
            TargetHost = "kcore",
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        };

        Assert.Equal("server", await HandshakeFailureAsync(new TlsOptions(a).ForServer(), bare));
    }

    [Fact]
    public async Task A_client_that_signed_a_uid_for_itself_is_refused()
    {
        using ClusterCertificates a = Certificates(1, A);
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={ClusterCertificates.NameOf(B)}", key, HashAlgorithmName.SHA256);
        using X509Certificate2 forged = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        var forger = new SslClientAuthenticationOptions
        {
            TargetHost = "kcore",
            ClientCertificateContext = SslStreamCertificateContext.Create(forged, null, offline: true),
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        };

        Assert.Equal("server", await HandshakeFailureAsync(new TlsOptions(a).ForServer(), forger));
    }

    [Fact]
    public async Task A_member_can_not_issue_certificates_with_its_own()
    {
        // The node's certificate is no authority, so a chain over it is too long and its signature counts for nothing.
        using ClusterCertificates a = Certificates(1, A);
        using ClusterCertificates member = Certificates(1, B);
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={ClusterCertificates.NameOf(0xC)}", key, HashAlgorithmName.SHA256);
        using ECDsa memberKey = member.Node.GetECDsaPrivateKey()!;
        using X509Certificate2 issued = request
            .Create(member.Node.SubjectName, X509SignatureGenerator.CreateForECDsa(memberKey), DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100), [1])
            .CopyWithPrivateKey(key);
        var forger = new SslClientAuthenticationOptions
        {
            TargetHost = "kcore",
            ClientCertificateContext = SslStreamCertificateContext.Create(issued, [member.Node], offline: true),
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        };

        Assert.Equal("server", await HandshakeFailureAsync(new TlsOptions(a).ForServer(), forger));
    }

    [Fact]
    public async Task A_client_that_speaks_only_TLS_1_2_is_refused()
    {
        using ClusterCertificates a = Certificates(1, A);
        using ClusterCertificates b = Certificates(1, B);
        SslClientAuthenticationOptions old = new TlsOptions(b).ForClient();
        old.EnabledSslProtocols = SslProtocols.Tls12;

        Assert.NotNull(await HandshakeFailureAsync(new TlsOptions(a).ForServer(), old));
    }

    /// <summary>Which side's handshake failed: "client" if the client's did, else "server", or null for neither.</summary>
    private static async Task<string?> HandshakeFailureAsync(
        SslServerAuthenticationOptions serverOptions, SslClientAuthenticationOptions clientOptions)
    {
        await using Pair pair = await Pair.ConnectAsync();
        Task server = pair.Server.AuthenticateAsServerAsync(serverOptions);
        try
        {
            await pair.Client.AuthenticateAsClientAsync(clientOptions);
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            pair.Client.Dispose();
            await Record.ExceptionAsync(() => server);
            return "client";
        }

        Exception? refused = await Record.ExceptionAsync(() => server.WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.True(refused is null or AuthenticationException or IOException, refused?.ToString());
        return refused is null ? null : "server";
    }

    private static ClusterSecret Secret(byte seed) => new([.. Enumerable.Range(0, 32).Select(i => (byte)(seed * 31 + i))]);

    private static ClusterCertificates Certificates(byte seed, UInt128 uid) =>
        new(new KeyRing(Secret(seed)), uid, TimeProvider.System);

    private sealed class Pair : IAsyncDisposable
    {
        public required SslStream Server { get; init; }

        public required SslStream Client { get; init; }

        public static async Task<Pair> ConnectAsync()
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            var client = new TcpClient();
            Task connecting = client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
            TcpClient server = await listener.AcceptTcpClientAsync();
            await connecting;
            return new Pair { Server = new SslStream(server.GetStream()), Client = new SslStream(client.GetStream()) };
        }

        public async ValueTask DisposeAsync()
        {
            await Server.DisposeAsync();
            await Client.DisposeAsync();
        }
    }
}
