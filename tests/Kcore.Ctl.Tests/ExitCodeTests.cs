using System.Net.Sockets;
using Kcore.Contracts;
using static Kcore.Ctl.Tests.FakeDaemon;

namespace Kcore.Ctl.Tests;

public sealed class ExitCodeTests
{
    [Theory]
    [InlineData(ErrorCode.Internal, 1)]
    [InlineData(ErrorCode.InvalidArgument, 2)]
    [InlineData(ErrorCode.NotFound, 3)]
    [InlineData(ErrorCode.AlreadyExists, 4)]
    [InlineData(ErrorCode.FailedPrecondition, 4)]
    [InlineData(ErrorCode.ResourceExhausted, 4)]
    [InlineData(ErrorCode.PermissionDenied, 5)]
    [InlineData(ErrorCode.Unavailable, 11)]
    public void Every_category_has_its_exit_code_and_its_text(ErrorCode category, int expected)
    {
        byte[] refusal = Reply(Samples.Problem($"{category}"), Problem.StatusOf(category));
        (ExitCode code, string output, string error) = Kctl.Against(_ => refusal, "get", "networks");
        Assert.Equal((expected, ""), ((int)code, output));
        Assert.Equal($"Error: {category}: it is so\n  evidence 1\n  evidence 2\nNext: kctl status\n", error);

        (code, output, error) = Kctl.Against(_ => refusal, "get", "networks", "-o", "json");
        Assert.Equal((expected, ""), ((int)code, output));
        Assert.Equal(Samples.Problem($"{category}") + "\n", error);
    }

    [Theory]
    [InlineData("create", "network")]
    [InlineData("create", "network", "  ")]
    [InlineData("delete", "network")]
    [InlineData("describe", "network")]
    [InlineData("attach", "nic", "--network", "n")]
    [InlineData("detach", "nic", "--network", "n")]
    [InlineData("move", "nic", "--network", "n", "--to", "b")]
    public void A_missing_name_is_an_invalid_argument_76(params string[] args)
    {
        (ExitCode code, _, string error) = Kctl.Run("/nowhere", args);
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains("InvalidArgument: name is required", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData]
    [InlineData("get")]
    [InlineData("frobnicate")]
    [InlineData("get", "networks", "--nope")]
    [InlineData("get", "networks", "-o", "xml")]
    [InlineData("create", "network", "n", "--vlan-id", "x")]
    [InlineData("create", "network", "n", "--wait", "--timeout", "soon")]
    [InlineData("attach", "nic", "n")]
    [InlineData("move", "nic", "n", "--to", "b")]
    [InlineData("move", "nic", "n", "--network", "m")]
    [InlineData("move", "nic", "n", "--network", "m", "--prepare")]
    [InlineData("move", "nic", "n", "--network", "m", "--to", "b", "--prepare", "--complete")]
    [InlineData("move", "nic", "n", "--network", "m", "--complete", "--abort")]
    [InlineData("delete", "network", "..")]
    [InlineData("status", "-o", "name")]
    public void Bad_usage_is_2_with_a_reason(params string[] args)
    {
        (ExitCode code, string output, string error) = Kctl.Against(_ => Reply(Samples.Status()), args);
        Assert.Equal((ExitCode.Usage, ""), (code, output));
        Assert.StartsWith("Error: InvalidArgument: ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Help_is_success() => Assert.Equal(ExitCode.Done, Kctl.Run("/nowhere", "create", "network", "--help").Code);

    [Fact]
    public void A_daemon_that_is_not_there_is_6_and_names_the_socket_69()
    {
        (ExitCode code, _, string error) = Kctl.Run("/nowhere/kcored.sock", "status");
        Assert.Equal(ExitCode.NotReachable, code);
        Assert.Contains("/nowhere/kcored.sock", error, StringComparison.Ordinal);
        Assert.Contains("not running", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_socket_nobody_listens_on_is_6()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("kctl").FullName, "s");
        using (var left = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            left.Bind(new UnixDomainSocketEndPoint(path));
            (ExitCode code, _, string error) = Kctl.Run(path, "status");
            Assert.Equal(ExitCode.NotReachable, code);
            Assert.Contains("nobody listens", error, StringComparison.Ordinal);
        }

        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
    }

    [Fact]
    public void A_path_no_socket_can_have_is_2() =>
        Assert.Equal(ExitCode.Usage, Kctl.Run("/" + new string('x', 200), "status").Code);

    [Theory]
    [InlineData("""{"steps":[],"refusals":[],"text":"nothing to do","isEmpty":true}""", 0)]
    [InlineData("""{"steps":[{"op":"add","object":"link","device":"vxlan14416","detail":"","reason":"","disruptive":false}],"refusals":[],"text":"+ link\n","isEmpty":false}""", 10)]
    [InlineData("""{"steps":[],"refusals":[{"object":"link","device":"kbr-a","reason":"foreign"}],"text":"! link"}""", 10)]
    public void Plan_says_by_its_exit_code_whether_there_are_differences(string report, int expected)
    {
        (ExitCode code, string output, _) = Kctl.Against(_ => Reply(report), "plan");
        Assert.Equal(expected, (int)code);
        Assert.NotEqual("", output.Trim());
    }

    [Theory]
    [InlineData("""{"node":"a","healthy":true,"checks":[{"name":"cluster","result":"ok","findings":[]},{"name":"host","result":"warning","findings":["x"]}]}""", 0)]
    [InlineData("""{"node":"a","healthy":false,"checks":[{"name":"firewall","result":"failed","findings":["dropped by policy drop of chain input"],"next":"ufw allow 4789/udp"}]}""", 9)]
    [InlineData("""{"node":"a","healthy":false,"checks":[null]}""", 9)]
    public void Doctor_says_by_its_exit_code_whether_a_check_failed(string report, int expected)
    {
        (ExitCode code, string output, _) = Kctl.Against(_ => Reply(report), "doctor");
        Assert.Equal(expected, (int)code);
        Assert.Equal(report.Contains("ufw", StringComparison.Ordinal), output == "firewall  failed\n  dropped by policy drop of chain input\n  -> ufw allow 4789/udp\n");
    }

    [Theory]
    [InlineData("")]
    [InlineData("SSH-2.0-OpenSSH\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n[]")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a>")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n[null]")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[]\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops")]
    [InlineData("HTTP/1.1 404 X\r\nContent-Length: 2\r\n\r\n{}")]
    [InlineData("HTTP/1.1 301 X\r\nContent-Length: 0\r\n\r\n")]
    public void A_hostile_answer_is_an_error_with_a_text_never_a_crash(string raw)
    {
        (ExitCode code, string output, string error) = Kctl.Against(_ => System.Text.Encoding.Latin1.GetBytes(raw), "get", "networks");
        Assert.Contains(code, new[] { ExitCode.Internal, ExitCode.NotReachable });
        Assert.Equal("", output);
        Assert.StartsWith("Error: ", error, StringComparison.Ordinal);
        Assert.DoesNotContain("kctl failed", error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_endless_head_and_an_endless_body_are_bounded()
    {
        byte[] head = System.Text.Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nX: " + new string('a', 1 << 20));
        Assert.Equal(ExitCode.Internal, Kctl.Against(_ => head, "get", "networks").Code);
        byte[] line = System.Text.Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\n\r\n" + new string('a', 2 << 20));
        Assert.Equal(ExitCode.Internal, Kctl.Against(_ => line, "events").Code);
        byte[] body = System.Text.Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\n\r\n" + new string(' ', 65 << 20));
        (ExitCode code, _, string error) = Kctl.Against(_ => body, "get", "networks");
        Assert.Equal(ExitCode.Internal, code);
        Assert.Contains("64 MiB", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_daemon_that_says_nothing_is_6()
    {
        using var daemon = new FakeDaemon(_ => []) { HoldOpen = true };
        var client = new Client.DaemonClient(daemon.Path, CancellationToken.None) { ReadTimeout = TimeSpan.FromMilliseconds(100) };
        CommandFailure failure = Assert.Throws<CommandFailure>(() => client.Get("/v1/status"));
        Assert.Equal(ExitCode.NotReachable, failure.ExitCode);
        Assert.Contains("did not answer within 0.1 s", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Following_events_ends_with_130_when_interrupted()
    {
        using var kctl = new Kctl();
        using var daemon = new FakeDaemon(_ =>
        {
            kctl.Interrupt.CancelAfter(100);
            return "HTTP/1.1 200 OK\r\n\r\n"u8.ToArray();
        })
        { HoldOpen = true };
        Assert.Equal(ExitCode.Interrupted, kctl.Invoke(daemon.Path, "events", "--follow"));
    }
}
